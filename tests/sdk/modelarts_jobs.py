"""What belongs to training jobs, through the vendor's SDK: tags, stages, events, restarts, stops and deletions.

Reads the platform's addresses and keys as JSON from standard input.
"""

import json
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkmodelarts.v1 import ModelArtsClient
from huaweicloudsdkmodelarts.v1 import (
    BatchDeleteJobItem,
    BatchDeleteJobMetadata,
    BatchDeleteJobsReq,
    BatchDeleteTrainingJobRequest,
    CreateTmsTagsRequest,
    CreateTrainJobTagsRequest,
    CreateTrainingJobRequest,
    DeleteTmsTagsRequest,
    DeleteTrainJobTagsRequest,
    Job,
    JobActionType,
    JobAlgorithm,
    JobMetadata,
    ListEventCategoriesRequest,
    ListTrainingJobEventsRequest,
    ListTrainingJobStagesRequest,
    ShowTrainJobTagsRequest,
    ShowTrainingJobDetailsRequest,
    ShowTrainingJobLogsFromAomRequest,
    ShowTrainingJobMetricsRequest,
    Spec,
    SpecResource,
    StopTrainingJobRequest,
    TmsTag,
)

DEADLINE = 60


def client(platform):
    credentials = BasicCredentials(platform["access_key"], platform["secret_key"], platform["project_id"])
    return (
        ModelArtsClient.new_builder()
        .with_credentials(credentials)
        .with_endpoints([platform["endpoint"]])
        .build()
    )


def submit(api, name, command, annotations=None):
    job = Job(
        kind="job",
        metadata=JobMetadata(name=name, annotations=annotations),
        algorithm=JobAlgorithm(command=command),
        spec=Spec(resource=SpecResource(flavor_id="modelarts.vm.cpu.1u", node_count=1)),
    )
    return api.create_training_job(CreateTrainingJobRequest(body=job)).metadata.id


def wait(api, job_id, phase):
    end = time.monotonic() + DEADLINE
    while True:
        job = api.show_training_job_details(ShowTrainingJobDetailsRequest(training_job_id=job_id))
        if job.status.phase == phase:
            return job
        if time.monotonic() > end:
            raise SystemExit(f"{phase} is waited for: {job}")
        time.sleep(0.05)


def tags_of(api, job_id):
    tags = api.show_train_job_tags(ShowTrainJobTagsRequest(training_job_id=job_id)).tags
    return {tag.key: tag.value for tag in tags}


def main():
    api = client(json.load(sys.stdin))

    retried = {"fault-tolerance/job-retry-num": "2", "fault-tolerance/job-unconditional-retry": "true"}
    failing = submit(api, "sdk-failing", "echo tried; exit 4", retried)
    failed = wait(api, failing, "Failed")
    assert [record.end_recover for record in failed.status.running_records] == ["job_reschedule"] * 2 + [None], failed
    events = api.list_training_job_events(ListTrainingJobEventsRequest(training_job_id=failing, limit=100)).events
    assert sum("is restarted" in event.message for event in events) == 2, events
    stages = api.list_training_job_stages(ListTrainingJobStagesRequest(training_job_id=failing))
    names = [stage.name for stage in stages.running_records[2].stages]
    assert stages.total_count == 3 and names == ["scheduling", "preparing", "running", "end"], stages
    log = api.show_training_job_logs_from_aom(
        ShowTrainingJobLogsFromAomRequest(training_job_id=failing, task_id="worker-0", lines=1)
    )
    assert log.content == "tried\n" and log.lines == 1, log
    metrics = api.show_training_job_metrics(ShowTrainingJobMetricsRequest(training_job_id=failing, task_id="worker-0"))
    assert {metric.metric for metric in metrics.metrics} >= {"cpuUsage", "memUsage"}, metrics
    categories = api.list_event_categories(ListEventCategoriesRequest(flavor_type="CPU")).event_categories
    assert any(category.id == "JobRestarted" for category in categories), categories

    tags = [TmsTag(key="team", value="vision"), TmsTag(key="kept")]
    api.create_train_job_tags(
        CreateTrainJobTagsRequest(training_job_id=failing, body=CreateTmsTagsRequest(tags=tags))
    )
    assert tags_of(api, failing) == {"team": "vision", "kept": ""}
    api.delete_train_job_tags(
        DeleteTrainJobTagsRequest(training_job_id=failing, body=DeleteTmsTagsRequest(tags=tags[:1]))
    )
    assert tags_of(api, failing) == {"kept": ""}

    sleeping = submit(api, "sdk-sleeping", "sleep 600")
    wait(api, sleeping, "Running")
    api.stop_training_job(
        StopTrainingJobRequest(training_job_id=sleeping, body=JobActionType(action_type="terminate"))
    )
    wait(api, sleeping, "Terminated")
    jobs = [
        BatchDeleteJobItem(kind="job", metadata=BatchDeleteJobMetadata(id=job_id)) for job_id in (failing, sleeping)
    ]
    api.batch_delete_training_job(BatchDeleteTrainingJobRequest(body=BatchDeleteJobsReq(jobs=jobs)))
    print("jobs: ok")


main()
