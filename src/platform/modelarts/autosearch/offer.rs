//! The ways to search that this platform offers, and files to begin with.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::platform::modelarts::error::ApiError;

/// A way to search: name, name in templates, what it is, and its options with their defaults and types.
struct Offer {
    name: &'static str,
    template: &'static str,
    description: &'static str,
    options: &'static [(&'static str, &'static str, &'static str)],
}

const OFFERS: [Offer; 5] = [
    Offer {
        name: "bayes_opt_search",
        template: "Bayes",
        description: "Bayesian optimisation with a Gaussian process",
        options: &[
            ("num_samples", "20", "Integer"),
            ("kind", "ucb", "String"),
            ("kappa", "2.5", "Float"),
            ("xi", "0.0", "Float"),
            ("seed", "1", "Integer"),
        ],
    },
    Offer {
        name: "tpe_search",
        template: "TPE",
        description: "Tree-structured Parzen estimators",
        options: &[
            ("num_samples", "20", "Integer"),
            ("n_initial_points", "20", "Integer"),
            ("gamma", "0.25", "Float"),
            ("seed", "1", "Integer"),
        ],
    },
    Offer {
        name: "anneal_search",
        template: "Anneal",
        description: "Simulated annealing",
        options: &[
            ("num_samples", "20", "Integer"),
            ("avg_best_idx", "2.0", "Float"),
            ("shrink_coef", "0.1", "Float"),
            ("seed", "1", "Integer"),
        ],
    },
    Offer {
        name: "grid_search",
        template: "GridSearch",
        description: "All points of an even grid",
        options: &[("num_samples", "20", "Integer")],
    },
    Offer {
        name: "random_search",
        template: "RandomSearch",
        description: "Random choice",
        options: &[("num_samples", "20", "Integer"), ("seed", "1", "Integer")],
    },
];

/// `GET /v2/{project_id}/search-algorithms`.
pub(super) async fn algorithms() -> Json<Value> {
    let option = |&(key, value, kind): &(&str, &str, &str)| json!({"key": key, "value": value, "type": kind});
    let offer = |offer: &Offer| {
        let options: Vec<Value> = offer.options.iter().map(option).collect();
        json!({"name": offer.name, "params": options, "description": offer.description})
    };
    Json(json!({"search_algo_count": OFFERS.len(), "search_algo_list": OFFERS.iter().map(offer).collect::<Vec<_>>()}))
}

/// `GET /v2/{project_id}/training-jobs/autosearch/yaml-templates`.
pub(super) async fn templates() -> Json<Value> {
    let names: Vec<&str> = OFFERS.iter().map(|offer| offer.template).collect();
    Json(json!({"yaml_templates": [
        {"algorithm_type_en": "hpo", "algorithm_type_zh": "超参搜索", "algorithm_names": names},
    ]}))
}

/// `GET /v2/{project_id}/training-jobs/autosearch/yaml-templates/{algorithm_type}/{algorithm_name}`.
pub(super) async fn template(Path((_, kind, name)): Path<(String, String, String)>) -> Result<Json<Value>, ApiError> {
    let Some(offer) = OFFERS.iter().find(|offer| kind == "hpo" && offer.template == name) else {
        let message = format!("There is no template {kind}/{name}.");
        return Err(ApiError { status: StatusCode::NOT_FOUND, code: "ModelArts.2788", message });
    };
    let options: String = offer.options.iter().map(|(key, value, _)| format!("  {key}: {value}\n")).collect();
    let content = format!(
        "general:\n  instance_per_trial: 1\nsearch_space:\n  - type: continuous_param\n    params:\n      - name: lr\n        \
         start: 0.001\n        stop: 0.1\n  - type: discrete_param\n    params:\n      - name: batch_size\n        \
         values: [16, 32, 64]\nsearch_algorithm:\n  type: {}\n  reward_attr: accuracy\n  mode: max\n  max_concurrent: 1\n{options}\
         scheduler:\n  type: FIFOScheduler\n",
        offer.name
    );
    Ok(Json(json!({"file_name": format!("{}.yaml", offer.template.to_lowercase()), "content": content})))
}
