//! The preset engines: the cloud's list, and this machine's own Python.

use axum::Json;
use serde_json::{Value, json};

use crate::platform::runner::plan::{Engine, Family};

/// Id of the engine that is simply the interpreter of this machine.
const LOCAL: &str = "python-3-local";

/// Name of the engines for Ascend cards. They run on whatever this machine is, as all the others do.
const ASCEND: &str = "Ascend-Powered-Engine";

/// Engine id, engine name, run user.
const ENGINES: &[(&str, &str, &str)] = &[
    (LOCAL, "Python", "1000"),
    ("caffe-1.0.0-python2.7", "Caffe", ""),
    ("horovod-cp36-tf-1.16.2", "Horovod", ""),
    ("horovod_0.20.0-pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", "Horovod", "1102"),
    ("horovod_0.20.0-tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64", "Horovod", "1102"),
    ("horovod_0.22.1-pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", "Horovod", "1102"),
    ("kungfu-0.2.2-tf-1.13.1-python3.6", "KungFu", ""),
    ("mindspore_1.3.0-cuda_10.1-py_3.7-ubuntu_1804-x86_64", "MPI", "1102"),
    ("mindspore_1.7.0-cann_5.1.0-py_3.7-euler_2.8.3-aarch64", ASCEND, "1000"),
    ("mindspore_1.8.0-cann_5.1.2-py_3.7-euler_2.8.3-aarch64", ASCEND, "1000"),
    ("mindspore_1.9.0-cann_6.0.0-py_3.7-euler_2.8.3-aarch64", ASCEND, "1000"),
    ("mxnet-1.2.1-python3.6", "MXNet", ""),
    ("optverse_0.2.0-pygrassland_1.1.0-py_3.7-ubuntu_18.04-x86_64", "OR", "1000"),
    ("pytorch-cp36-1.0.0", "PyTorch", ""),
    ("pytorch-cp36-1.3.0", "PyTorch", ""),
    ("pytorch-cp36-1.4.0", "PyTorch", ""),
    ("pytorch_1.8.0-cann_5.1.0-py_3.7-euler_2.8.3-aarch64", ASCEND, "1000"),
    ("pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", "PyTorch", "1000"),
    ("pytorch_1.8.1-cann_5.1.2-py_3.7-euler_2.8.3-aarch64", ASCEND, "1000"),
    ("pytorch_1.8.1-cann_6.0.0-py_3.7-euler_2.8.3-aarch64", ASCEND, "1000"),
    ("pytorch_1.8.1-cuda_11.1-py_3.7-ubuntu_18.04-x86_64", "PyTorch", "1000"),
    ("pytorch_1.8.2-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", "PyTorch", "1000"),
    ("pytorch_1.9.1-cuda_11.1-py_3.7-ubuntu_18.04-x86_64", "PyTorch", "1000"),
    ("ray-cp36-0.7.4", "Ray", ""),
    ("tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64", "TensorFlow", "1000"),
];

/// `GET /v2/{project_id}/training-job-engines`.
pub(crate) async fn list() -> Json<Value> {
    let items: Vec<Value> = ENGINES.iter().map(document).collect();
    Json(json!({"total": items.len(), "items": items}))
}

fn document(&(id, name, run_user): &(&str, &str, &str)) -> Value {
    json!({
        "engine_id": id,
        "engine_name": name,
        "engine_version": id,
        "v1_compatible": run_user.is_empty(),
        "run_user": run_user,
    })
}

/// The engine that a job names: by id, or by name and version. The version is spelled like the id.
pub(crate) fn find(id: Option<&str>, name: Option<&str>, version: Option<&str>) -> Option<Engine> {
    let wanted = plain(id.or(version)?);
    let (id, found, _) = ENGINES.iter().find(|engine| plain(engine.0) == wanted)?;
    if name.is_some_and(|name| !name.eq_ignore_ascii_case(found)) {
        return None;
    }
    let (family, module) = match *found {
        "PyTorch" => (Family::PyTorch, Some("torch")),
        "TensorFlow" => (Family::TensorFlow, Some("tensorflow")),
        "Horovod" => (Family::Mpi, Some("horovod")),
        "MPI" => (Family::Mpi, Some("mindspore")),
        ASCEND if id.starts_with("pytorch") => (Family::Ascend, Some("torch_npu")),
        ASCEND => (Family::Ascend, Some("mindspore")),
        "Caffe" => (Family::Plain, Some("caffe")),
        "KungFu" => (Family::Plain, Some("kungfu")),
        "MXNet" => (Family::Plain, Some("mxnet")),
        "OR" => (Family::Plain, Some("pygrassland")),
        "Ray" => (Family::Plain, Some("ray")),
        _ => (Family::Plain, None),
    };
    Some(Engine { id: (*id).to_owned(), name: (*found).to_owned(), family, module })
}

/// The Ubuntu release is spelled both ways in the documentation.
fn plain(id: &str) -> String {
    id.replace("ubuntu_1804", "ubuntu_18.04")
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn engines_are_found_by_id_and_by_name_with_version() {
        let pytorch = "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64";
        assert_eq!(find(Some(pytorch), None, None).unwrap().module, Some("torch"));
        assert_eq!(find(None, Some("pytorch"), Some(pytorch)).unwrap().name, "PyTorch");
        assert!(find(None, Some("TensorFlow"), Some(pytorch)).is_none());
        assert!(find(None, Some("PyTorch"), None).is_none());
        assert!(find(None, Some("MPI"), Some("mindspore_1.3.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64")).is_some());
    }
}
