"""A worker refuses to register while records or jobs under former names are left."""

from restate import ObjectContext, VirtualObject
from restate.serde import BytesSerde

from landlord_test_target.endpoints import serve_services
from landlord_test_target.harness import Harness


async def test_records_under_the_former_names_are_reported_with_instructions_that_work(
    harness: Harness,
) -> None:
    former = VirtualObject(f"{harness.service}Turn")

    @former.handler("take", accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())
    async def write_lock(ctx: ObjectContext, body: bytes) -> bytes:
        ctx.set("lock", body, serde=BytesSerde())
        return body

    async with serve_services(harness, former):
        url = f"{harness.restate.endpoint}/{harness.service}Turn/t/take"
        async with harness.http.post(url, data=b"{}") as response:
            assert response.status == 200
        worker = await harness.launch(harness.config())

        refused, *_ = await worker.wait_logged("registration refused")
        assert (
            f"tenants' records under the previous name {harness.service}Turn" in refused["reason"]
        )
        (removal_url,) = (word for word in refused["reason"].split() if "?force=true" in word)

        async with harness.http.delete(removal_url.removesuffix(".")) as response:
            assert response.status < 300

        await worker.wait_registered()
        assert await harness.run(harness.tenant(), "provision", version=1) == "created"
