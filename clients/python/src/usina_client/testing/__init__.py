"""A platform in memory, for the tests of programs that use Usina.

    from usina_client.testing import Failure, FakePlatform, Run

    def test_a_shop_window_gets_its_model():
        platform = FakePlatform()

        @platform.model("inflate-v1", inputs=["image"], params={"texture_size": 1024})
        def inflate(run: Run) -> None:
            run.progress(0.5, "meshing")
            run.artifact("mesh.glb", b"glTF", kind="model", media_type="model/gltf-binary")

        with platform.client() as usina:
            job = usina.jobs.run("inflate-v1", inputs={"image": Upload(content=b"...", name="a")})
            assert usina.artifacts.read(job.artifact("mesh.glb")) == b"glTF"

It speaks the platform's API to `Client` and `AsyncClient` alike, without a network: states,
events, refusals and idempotency are those of the real one. A job runs when it is submitted, unless
`hold()` keeps it QUEUED; `refuse` and `cut` make the next requests fail.
"""

from usina_client.testing._job import Failure, Run
from usina_client.testing._platform import FakePlatform

__all__ = ["Failure", "FakePlatform", "Run"]
