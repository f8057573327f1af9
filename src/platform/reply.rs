//! Answers that are the same for every operation of a service: refusals and failures, in the service's own shape.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::catalogue;

/// Which service a path belongs to; decides the shape of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Training, notebooks, models and the rest of `ModelArts`.
    ModelArts,
    /// Identity, versions 3 of Keystone.
    Iam,
    /// Identity, the older calls below `/v3.0`.
    IamOld,
    /// The image registry.
    Swr,
    /// Spark and SQL jobs.
    Dli,
}

impl Service {
    /// The service that serves a path. `/v3` is shared: what follows it decides.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        let (version, second) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        match version {
            "v3.0" => Self::IamOld,
            "v2" | "v3" if second == "manage" => Self::Swr,
            "v1.0" | "v2.0" => Self::Dli,
            "v3" if second.len() == 32 && second.bytes().all(|byte| byte.is_ascii_hexdigit()) => Self::Dli,
            "" | "v3" => Self::Iam,
            _ => Self::ModelArts,
        }
    }

    /// The project id in a path of this service, if its paths have one. What stands there has not been checked.
    ///
    /// Words stand in its place in a few paths of the catalogue. No other path is exempt: routes take any word for a project.
    pub(crate) fn project_in(self, path: &str) -> Option<&str> {
        let second = path.split('/').nth(2)?;
        match self {
            Self::ModelArts if !["auth-mode", "aihub", "brain"].contains(&second) => Some(second),
            Self::ModelArts | Self::Swr => (!catalogue::is_without_project(path)).then_some(second),
            Self::Dli => Some(second),
            Self::Iam | Self::IamOld => None,
        }
    }

    /// The service's code for a request with a path, query or body that it cannot read.
    pub(crate) fn invalid_request(self) -> &'static str {
        match self {
            Self::ModelArts => "ModelArts.2788",
            Self::Iam | Self::IamOld => "IAM.0011",
            Self::Swr | Self::Dli => "Platform.0400",
        }
    }
}

/// An error in the service's own shape.
pub(crate) fn error(service: Service, status: StatusCode, code: &str, message: &str, request_id: &str) -> Response {
    let body = match service {
        Service::ModelArts | Service::Dli => json!({"error_code": code, "error_msg": message, "request_id": request_id}),
        Service::Swr => json!({"errors": [{"errorCode": code, "errorMessage": message}]}),
        Service::Iam => keystone(status, message),
        Service::IamOld => json!({"error_code": code, "error_msg": message}),
    };
    (status, Json(body)).into_response()
}

/// Keystone's errors name no code of their own, only the status and its title.
fn keystone(status: StatusCode, message: &str) -> Value {
    json!({"error": {"code": status.as_u16(), "message": message, "title": status.canonical_reason().unwrap_or("Error")}})
}

#[cfg(test)]
mod tests {
    use super::Service;

    #[test]
    fn paths_belong_to_their_service() {
        let project = "0123456789abcdef0123456789abcdef";
        for (path, service, found) in [
            ("/", Service::Iam, None),
            ("/v3", Service::Iam, None),
            ("/v3/auth/tokens", Service::Iam, None),
            ("/v3.0/OS-CREDENTIAL/securitytokens", Service::IamOld, None),
            ("/v2/manage/namespaces", Service::Swr, None),
            ("/v3/0123456789abcdef0123456789abcdef/jobs", Service::Dli, Some(project)),
            ("/v1.0/x/jobs", Service::Dli, Some("x")),
            ("/v2/0123456789abcdef0123456789abcdef/training-jobs", Service::ModelArts, Some(project)),
            ("/v2/other/training-jobs", Service::ModelArts, Some("other")),
            ("/v1/auth-mode", Service::ModelArts, None),
            ("/v1/aihub/model/subscriptions/x/versions", Service::ModelArts, None),
            ("/v2/brain/training-jobs", Service::ModelArts, Some("brain")),
            ("/v2/auth-mode/training-jobs/x/actions", Service::ModelArts, Some("auth-mode")),
            ("/v2/manage/training-jobs", Service::Swr, Some("manage")),
        ] {
            assert_eq!((Service::of(path), Service::of(path).project_in(path)), (service, found), "{path}");
        }
    }
}
