"""Uses the platform's IAM through the vendor's SDK; exits with an error at the first mismatch.

Reads what `ma-cli platform status -F json` prints from standard input.
"""

import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkiam.v3 import (
    AuthScope,
    AuthScopeProject,
    CreateTemporaryAccessKeyByTokenRequest,
    CreateTemporaryAccessKeyByTokenRequestBody,
    IamClient,
    IdentityToken,
    KeystoneCreateUserTokenByPasswordRequest,
    KeystoneCreateUserTokenByPasswordRequestBody,
    KeystoneListAuthDomainsRequest,
    KeystoneListAuthProjectsRequest,
    KeystoneListProjectsRequest,
    KeystoneListRegionsRequest,
    KeystoneShowProjectRequest,
    KeystoneValidateTokenRequest,
    PwdAuth,
    PwdIdentity,
    PwdPassword,
    PwdPasswordUser,
    PwdPasswordUserDomain,
    TokenAuth,
    TokenAuthIdentity,
)

PLATFORM = json.load(sys.stdin)


def client(credentials):
    return IamClient.new_builder().with_credentials(credentials).with_endpoint(PLATFORM["endpoint"]).build()


def with_keys(access_key, secret_key):
    credentials = GlobalCredentials(access_key, secret_key)
    # Without an account id the SDK asks IAM for it.
    credentials.with_iam_endpoint(PLATFORM["endpoint"])
    return client(credentials)


def password_token(iam, password):
    user = PwdPasswordUser(
        domain=PwdPasswordUserDomain(name=PLATFORM["account"]), name=PLATFORM["username"], password=password
    )
    identity = PwdIdentity(methods=["password"], password=PwdPassword(user=user))
    scope = AuthScope(project=AuthScopeProject(name=PLATFORM["region"]))
    body = KeystoneCreateUserTokenByPasswordRequestBody(auth=PwdAuth(identity=identity, scope=scope))
    return iam.keystone_create_user_token_by_password(KeystoneCreateUserTokenByPasswordRequest(body=body))


def refused(status, call):
    try:
        call()
    except exceptions.ClientRequestException as error:
        assert error.status_code == status, error
        assert error.request_id, error
        return error
    raise AssertionError(f"the call was not refused with {status}")


def main():
    iam = with_keys(PLATFORM["access_key"], PLATFORM["secret_key"])

    reply = password_token(iam, PLATFORM["password"])
    token = reply.x_subject_token
    assert token and reply.token.project.id == PLATFORM["project_id"], reply
    assert reply.token.user.name == PLATFORM["username"], reply
    endpoints = [service.endpoints[0].url for service in reply.token.catalog]
    assert PLATFORM["obs_endpoint"] in endpoints, endpoints

    shown = iam.keystone_validate_token(KeystoneValidateTokenRequest(x_subject_token=token))
    assert shown.token.expires_at == reply.token.expires_at, shown
    refused(404, lambda: iam.keystone_validate_token(KeystoneValidateTokenRequest(x_subject_token=token + "x")))

    projects = iam.keystone_list_projects(KeystoneListProjectsRequest(name=PLATFORM["region"])).projects
    assert [project.id for project in projects] == [PLATFORM["project_id"]], projects
    assert iam.keystone_list_projects(KeystoneListProjectsRequest(name="cn-north-4")).projects == []
    assert len(iam.keystone_list_auth_projects(KeystoneListAuthProjectsRequest()).projects) == 1
    domains = iam.keystone_list_auth_domains(KeystoneListAuthDomainsRequest()).domains
    assert [domain.name for domain in domains] == [PLATFORM["account"]], domains
    regions = iam.keystone_list_regions(KeystoneListRegionsRequest()).regions
    assert [region.id for region in regions] == [PLATFORM["region"]], regions
    project = iam.keystone_show_project(KeystoneShowProjectRequest(project_id=PLATFORM["project_id"])).project
    assert project.name == PLATFORM["region"], project

    identity = TokenAuthIdentity(methods=["token"], token=IdentityToken(id=token, duration_seconds=900))
    body = CreateTemporaryAccessKeyByTokenRequestBody(auth=TokenAuth(identity=identity))
    temporary = iam.create_temporary_access_key_by_token(CreateTemporaryAccessKeyByTokenRequest(body=body)).credential
    credentials = GlobalCredentials(temporary.access, temporary.secret, domains[0].id)
    credentials.with_security_token(temporary.securitytoken)
    assert len(client(credentials).keystone_list_projects(KeystoneListProjectsRequest()).projects) == 1
    bare = GlobalCredentials(temporary.access, temporary.secret, domains[0].id)
    refused(401, lambda: client(bare).keystone_list_projects(KeystoneListProjectsRequest()))

    # A regional client finds its project by the region's name.
    regional = BasicCredentials(PLATFORM["access_key"], PLATFORM["secret_key"])
    regional.with_iam_endpoint(PLATFORM["endpoint"])
    region = Region(PLATFORM["region"], PLATFORM["endpoint"])
    found = regional.process_auth_params(client(GlobalCredentials("a", "b", "c"))._http_client, region.id)
    assert found.project_id == PLATFORM["project_id"], found.project_id

    wrong = GlobalCredentials(PLATFORM["access_key"], "x" * 40, domains[0].id)
    refused(401, lambda: client(wrong).keystone_list_projects(KeystoneListProjectsRequest()))
    unknown = GlobalCredentials("UNKNOWNKEY", "x" * 40, domains[0].id)
    refused(401, lambda: client(unknown).keystone_list_projects(KeystoneListProjectsRequest()))
    refused(401, lambda: password_token(iam, "wrong"))
    print("iam: ok")


main()
