"""Training jobs through the vendor's SDK. Reads the platform's addresses and keys as JSON from standard input."""

import json
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkmodelarts.v1 import ModelArtsClient
from huaweicloudsdkmodelarts.v1 import (
    CreateTrainingJobRequest,
    DeleteTrainingJobRequest,
    Filter,
    Job,
    JobActionType,
    JobAlgorithm,
    JobEngine,
    JobMetadata,
    JobSearches,
    ListTrainingJobEventsRequest,
    ListTrainingJobsRequest,
    Output,
    Remote,
    RemoteObs,
    ShowTrainingJobDetailsRequest,
    ShowTrainingJobEnginesRequest,
    ShowTrainingJobFlavorsRequest,
    ShowTrainingJobLogsPreviewRequest,
    Spec,
    SpecResource,
    StopTrainingJobRequest,
)

DEADLINE = 60


def client(platform, secret_key=None):
    credentials = BasicCredentials(
        platform["access_key"], secret_key or platform["secret_key"], platform["project_id"]
    )
    return (
        ModelArtsClient.new_builder()
        .with_credentials(credentials)
        .with_endpoints([platform["endpoint"]])
        .build()
    )


def resource(flavor):
    return Spec(resource=SpecResource(flavor_id=flavor, node_count=1))


def show(api, job_id):
    return api.show_training_job_details(ShowTrainingJobDetailsRequest(training_job_id=job_id))


def wait(api, job_id, phase):
    end = time.monotonic() + DEADLINE
    while True:
        job = show(api, job_id)
        if job.status.phase == phase:
            return job
        if time.monotonic() > end:
            raise SystemExit(f"{phase} is waited for: {job}")
        time.sleep(0.05)


def refused(status, code, call):
    try:
        call()
    except ClientRequestException as error:
        assert (error.status_code, error.error_code) == (status, code), error
        return
    raise SystemExit(f"{code} was expected")


def main():
    platform = json.load(sys.stdin)
    api = client(platform)

    engines = api.show_training_job_engines(ShowTrainingJobEnginesRequest())
    assert engines.total == len(engines.items) and any(engine.engine_name == "PyTorch" for engine in engines.items)
    flavors = api.show_training_job_flavors(ShowTrainingJobFlavorsRequest(flavor_type="CPU"))
    flavor = next(flavor for flavor in flavors.flavors if flavor.flavor_info.cpu.core_num == 1)

    job = Job(
        kind="job",
        metadata=JobMetadata(name="sdk-job", description="made by the SDK"),
        algorithm=JobAlgorithm(
            code_dir="/lab/sdk/",
            boot_file="/lab/sdk/main.py",
            engine=JobEngine(engine_id="python-3-local"),
            outputs=[Output(name="train_url", remote=Remote(obs=RemoteObs(obs_url="/lab/sdk-out/")))],
            environments={"GREETING": "hello"},
        ),
        spec=resource(flavor.flavor_id),
    )
    created = api.create_training_job(CreateTrainingJobRequest(body=job))
    job_id = created.metadata.id
    assert created.metadata.name == "sdk-job" and created.status.phase == "Creating", created
    done = wait(api, job_id, "Completed")
    assert done.status.tasks == ["worker-0"] and done.status.duration > 0, done
    assert done.algorithm.environments == [{"GREETING": "hello"}], done
    preview = api.show_training_job_logs_preview(
        ShowTrainingJobLogsPreviewRequest(training_job_id=job_id, task_id="worker-0")
    )
    assert "hello from the job" in preview.content, preview
    assert preview.current_size == preview.full_size
    events = api.list_training_job_events(ListTrainingJobEventsRequest(training_job_id=job_id, limit=100))
    assert any("completed" in event.message for event in events.events), events

    search = JobSearches(offset=0, limit=10, filters=[Filter(key="name", operator="like", value=["sdk"])])
    found = api.list_training_jobs(ListTrainingJobsRequest(body=search))
    assert [item.metadata.id for item in found.items] == [job_id] and found.count == 1, found

    sleeper = Job(
        kind="job",
        metadata=JobMetadata(name="sleeper"),
        algorithm=JobAlgorithm(command="sleep 600"),
        spec=resource(flavor.flavor_id),
    )
    sleeper_id = api.create_training_job(CreateTrainingJobRequest(body=sleeper)).metadata.id
    wait(api, sleeper_id, "Running")
    refused(
        409, "ModelArts.2796", lambda: api.delete_training_job(DeleteTrainingJobRequest(training_job_id=sleeper_id))
    )
    stopping = api.stop_training_job(
        StopTrainingJobRequest(training_job_id=sleeper_id, body=JobActionType(action_type="terminate"))
    )
    assert stopping.status.phase == "Terminating", stopping
    wait(api, sleeper_id, "Terminated")

    for one in (job_id, sleeper_id):
        api.delete_training_job(DeleteTrainingJobRequest(training_job_id=one))
        refused(404, "ModelArts.2775", lambda: show(api, one))
    wrong = client(platform, secret_key="x" * 40)
    refused(401, "APIGW.0301", lambda: wrong.show_training_job_engines(ShowTrainingJobEnginesRequest()))
    print("modelarts: ok")


main()
