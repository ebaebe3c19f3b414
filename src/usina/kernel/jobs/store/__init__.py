"""All SQL of jobs, as plain functions of a transaction.

Every write on behalf of a worker is fenced by status, attempt and lease token: a worker that lost
its job changes nothing and is told so.
"""
