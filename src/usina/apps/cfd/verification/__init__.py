"""The room's figures against answers that are known: ``python -m usina.apps.cfd.verification``."""
