"""Algorithms and searches for hyperparameters through the vendor's SDK. Reads the platform's addresses and keys as JSON from standard input."""

import json
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkmodelarts.v1 import ModelArtsClient
from huaweicloudsdkmodelarts.v1 import (
    AlgoConfigs,
    Algorithm,
    AlgorithmCreateEngine,
    AlgorithmJobConfig,
    AlgorithmMetadata,
    AutoSearch,
    AutoSearchAlgoConfigParameter,
    ChangeAlgorithmRequest,
    CreateAlgorithmRequest,
    CreateTrainingJobRequest,
    DeleteAlgorithmRequest,
    Job,
    JobAlgorithm,
    JobMetadata,
    JobPolicies,
    ListAlgorithmsRequest,
    Parameters,
    ParametersConstraint,
    ResourceRequirement,
    RewardAttrs,
    SearchParams,
    ShowAlgorithmByUuidRequest,
    ShowAutoSearchParamsAnalysisRequest,
    ShowAutoSearchPerTrialRequest,
    ShowAutoSearchTrialEarlyStopRequest,
    ShowAutoSearchTrialsRequest,
    ShowAutoSearchYamlTemplateContentRequest,
    ShowAutoSearchYamlTemplatesInfoRequest,
    ShowSearchAlgorithmsRequest,
    ShowTrainingJobDetailsRequest,
    Spec,
    SpecResource,
)

DEADLINE = 90
COMMAND = """python3 -c "
import sys, time
a = dict(w[2:].split('=') for w in sys.argv[1:])
print('loss:', (float(a['lr']) - 0.3) ** 2, flush=True)
time.sleep(float(a.get('wait', 0)))
" """


def refused(status, code, call):
    try:
        call()
    except ClientRequestException as error:
        assert (error.status_code, error.error_code) == (status, code), error
        return
    raise SystemExit(f"{code} was expected")


def until(what, look):
    end = time.monotonic() + DEADLINE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"{what} is waited for")
        time.sleep(0.05)


def definition(name, description, value):
    constraint = ParametersConstraint(
        type="Float", editable=True, required=True, sensitive=False, valid_type="range", valid_range=["0", "1"]
    )
    return Algorithm(
        metadata=AlgorithmMetadata(name=name, description=description, workspace_id="0"),
        job_config=AlgorithmJobConfig(
            command=COMMAND,
            parameters=[Parameters(name="lr", value=value, description="step size", constraint=constraint)],
            inputs=[],
            outputs=[],
            engine=AlgorithmCreateEngine(),
            parameters_customization=True,
        ),
        resource_requirements=[ResourceRequirement(key="flavor_type", values=["CPU"], operator="in")],
    )


def job(algorithm_id, parameters=(), policies=None):
    named = [Parameters(name=name, value=value) for name, value in parameters]
    return CreateTrainingJobRequest(
        body=Job(
            kind="job",
            metadata=JobMetadata(name="from-algorithm"),
            algorithm=JobAlgorithm(id=algorithm_id, parameters=named, policies=policies),
            spec=Spec(resource=SpecResource(flavor_id="modelarts.vm.cpu.1u", node_count=1)),
        )
    )


def search(samples):
    option = AutoSearchAlgoConfigParameter(key="num_samples", value=str(samples), type="Integer")
    return JobPolicies(
        auto_search=AutoSearch(
            reward_attrs=[RewardAttrs(name="loss", mode="min", regex=r"loss: ([-+.\deE]+)")],
            search_params=[SearchParams(name="lr", param_type="continuous", lower_bound="0", upper_bound="1")],
            algo_configs=[AlgoConfigs(name="tpe_search", params=[option])],
        )
    )


def algorithms(api):
    """Creates, lists, shows and changes one; gives its id."""
    created = api.create_algorithm(CreateAlgorithmRequest(body=definition("sdk", "made by the SDK", "0.5")))
    algorithm_id = created.metadata.id
    shown = api.show_algorithm_by_uuid(ShowAlgorithmByUuidRequest(algorithm_id=algorithm_id))
    assert shown.job_config.parameters[0].constraint.valid_range == ["0", "1"], shown
    assert shown.resource_requirements[0].value == ["CPU"], shown
    listed = api.list_algorithms(ListAlgorithmsRequest(offset=0, limit=10, searches="sdk", order="desc"))
    assert [item.metadata.id for item in listed.items] == [algorithm_id] and listed.count == 1, listed
    changed = api.change_algorithm(
        ChangeAlgorithmRequest(algorithm_id=algorithm_id, body=definition("sdk", "changed", "0.25"))
    )
    assert changed.metadata.description == "changed" and changed.metadata.id == algorithm_id, changed
    refused(400, "ModelArts.2788", lambda: api.create_algorithm(CreateAlgorithmRequest(body=definition("x", "", "7"))))
    return algorithm_id


def wait(api, job_id, phase):
    def ended():
        shown = api.show_training_job_details(ShowTrainingJobDetailsRequest(training_job_id=job_id))
        assert shown.status.phase not in ("Failed", "Abnormal"), shown
        return shown if shown.status.phase == phase else None

    return until(phase, ended)


def trials(api, job_id):
    table = api.show_auto_search_trials(ShowAutoSearchTrialsRequest(training_job_id=job_id, limit=50, offset=0))
    return [dict(zip(table.items.header, row)) for row in table.items.data]


def searches(api, algorithm_id):
    offered = api.show_search_algorithms(ShowSearchAlgorithmsRequest())
    assert "tpe_search" in [one.name for one in offered.search_algo_list], offered
    templates = api.show_auto_search_yaml_templates_info(ShowAutoSearchYamlTemplatesInfoRequest())
    assert "TPE" in templates.yaml_templates[0].algorithm_names, templates
    template = api.show_auto_search_yaml_template_content(
        ShowAutoSearchYamlTemplateContentRequest(algorithm_type="hpo", algorithm_name="TPE")
    )
    assert "tpe_search" in template.content, template

    job_id = api.create_training_job(job(algorithm_id, policies=search(6))).metadata.id
    wait(api, job_id, "Completed")
    found = trials(api, job_id)
    assert len(found) == 6 and all(trial["status"] == "TERMINATED" for trial in found), found
    one = api.show_auto_search_per_trial(ShowAutoSearchPerTrialRequest(training_job_id=job_id, trial_id="trial-6"))
    assert dict(zip(one.header, one.data[0])) == found[5], one
    importance = api.show_auto_search_params_analysis(ShowAutoSearchParamsAnalysisRequest(training_job_id=job_id))
    assert importance.data[0][0] == "lr", importance

    # A trial that would run for ever is ended early, and what it printed counts.
    job_id = api.create_training_job(job(algorithm_id, [("wait", "600")], search(1))).metadata.id
    until("a figure", lambda: any(trial["loss"] for trial in trials(api, job_id)))
    stopped = api.show_auto_search_trial_early_stop(
        ShowAutoSearchTrialEarlyStopRequest(training_job_id=job_id, trial_id="trial-1")
    )
    assert stopped.earlystop_trial == "trial-1", stopped
    wait(api, job_id, "Completed")
    assert trials(api, job_id)[0]["status"] == "EARLY_STOPPED", trials(api, job_id)
    request = ShowAutoSearchTrialEarlyStopRequest(training_job_id=job_id, trial_id="trial-1")
    refused(409, "ModelArts.2796", lambda: api.show_auto_search_trial_early_stop(request))
    request = ShowAutoSearchPerTrialRequest(training_job_id=job_id, trial_id="none")
    refused(404, "ModelArts.2836", lambda: api.show_auto_search_per_trial(request))


def main():
    platform = json.load(sys.stdin)
    credentials = BasicCredentials(platform["access_key"], platform["secret_key"], platform["project_id"])
    api = (
        ModelArtsClient.new_builder()
        .with_credentials(credentials)
        .with_endpoints([platform["endpoint"]])
        .build()
    )
    algorithm_id = algorithms(api)
    done = wait(api, api.create_training_job(job(algorithm_id)).metadata.id, "Completed")
    assert (done.algorithm.id, done.algorithm.name) == (algorithm_id, "sdk"), done
    assert done.algorithm.parameters[0].value == "0.25", done
    refused(400, "ModelArts.2788", lambda: api.create_training_job(job(algorithm_id, [("lr", "2")])))
    searches(api, algorithm_id)
    api.delete_algorithm(DeleteAlgorithmRequest(algorithm_id=algorithm_id))
    for call in (
        lambda: api.show_algorithm_by_uuid(ShowAlgorithmByUuidRequest(algorithm_id=algorithm_id)),
        lambda: api.create_training_job(job(algorithm_id)),
    ):
        refused(404, "ModelArts.2755", call)
    print("algorithm: ok")


main()
