//! The rings of the architecture: which package may depend on which, and who may name which outside crate.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::collections::BTreeMap;

/// Packages of a ring and what they may depend on, by package name without the prefix.
fn allowed(name: &str, path: &str) -> Option<Vec<&'static str>> {
    Some(match name {
        "domain" => vec![],
        "wire" | "dialects" => vec!["domain"],
        "engine" => vec!["domain", "dialects", "wire"],
        "http" | "aws" => vec!["domain", "wire", "engine"],
        "routes" => vec!["domain", "wire", "dialects", "engine"],
        "cli" => vec!["wire", "http", "aws"],
        _ if path.contains("/functions/") => vec!["domain", "wire", "dialects", "engine", "http", "aws", "routes"],
        _ => return None,
    })
}

fn ledger_packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(ledger_suite::stack::workspace().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    metadata.packages
}

/// Arrows that may not be: `(from, to)`.
fn forbidden_arrows(packages: &[Package]) -> Vec<(String, String)> {
    let mut forbidden = Vec::new();
    for package in packages {
        let name = package.name.trim_start_matches("ledger-");
        let Some(allowed) = allowed(name, package.manifest_path.as_str()) else { continue };
        for dependency in package.dependencies.iter().filter(|it| it.kind != DependencyKind::Development) {
            if let Some(to) = dependency.name.strip_prefix("ledger-")
                && !allowed.contains(&to)
            {
                forbidden.push((name.to_owned(), to.to_owned()));
            }
        }
    }
    forbidden
}

#[test]
fn no_arrow_points_outwards() {
    let packages = ledger_packages();
    assert_eq!(forbidden_arrows(&packages), vec![]);
    for ring in ["domain", "wire", "dialects", "engine", "http", "aws", "routes", "cli"] {
        assert!(packages.iter().any(|it| *it.name == format!("ledger-{ring}")), "{ring} is gone");
    }
}

/// Who can make the engine's planted mistakes: packages with the feature, or that ask for it.
fn planters(packages: &[Package]) -> Vec<String> {
    let asks = |package: &Package| {
        let of_features = package.features.values().flatten().any(|it| it.ends_with("/planted"));
        let by_default = package.features.get("default").is_some_and(|it| it.iter().any(|name| name == "planted"));
        let of_dependencies = package.dependencies.iter().any(|it| it.features.iter().any(|name| name == "planted"));
        of_features || by_default || of_dependencies
    };
    packages.iter().filter(|package| asks(package)).map(|package| package.name.to_string()).collect()
}

#[test]
fn nothing_that_ships_can_make_planted_mistakes() {
    let packages = ledger_packages();
    assert_eq!(planters(&packages), ["ledger-simulation"]);
    let engine = packages.iter().find(|it| *it.name == "ledger-engine").unwrap();
    assert!(engine.features.contains_key("planted") && !engine.features.contains_key("default"));
    // Nor does the build for AWS ask for any feature.
    for path in ["infra/build/Makefile", "infra/build/package.py"] {
        let text = std::fs::read_to_string(ledger_suite::stack::workspace().join(path)).unwrap();
        assert!(!text.contains("features"), "{path}");
    }
}

#[test]
fn a_forbidden_arrow_is_noticed() {
    let mut packages = ledger_packages();
    let engine = packages.iter().position(|it| *it.name == "ledger-engine").unwrap();
    let domain = packages.iter().position(|it| *it.name == "ledger-domain").unwrap();
    let dependency = packages[engine].dependencies.iter().find(|it| it.name == "ledger-wire").unwrap().clone();
    packages[domain].dependencies.push(dependency);
    assert_eq!(forbidden_arrows(&packages), vec![("domain".to_owned(), "wire".to_owned())]);
}

#[test]
fn only_the_adapters_name_the_outside() {
    let packages = ledger_packages();
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in &packages {
        let path = package.manifest_path.as_str();
        if !path.contains("/shared/") && !path.contains("/functions/") {
            continue;
        }
        for dependency in package.dependencies.iter().filter(|it| it.kind != DependencyKind::Development) {
            let outside = match dependency.name.as_str() {
                name if name.starts_with("aws-sdk-") => "aws-sdk",
                "reqwest" => "reqwest",
                _ => continue,
            };
            let users = users.entry(outside).or_default();
            if !users.contains(&package.name.to_string()) {
                users.push(package.name.to_string());
            }
        }
    }
    assert_eq!(users.remove("aws-sdk"), Some(vec!["ledger-aws".to_owned()]));
    assert_eq!(users.remove("reqwest"), Some(vec!["ledger-http".to_owned()]));
}

#[test]
fn packages_are_named_after_their_folders() {
    for package in ledger_packages() {
        let folder = package.manifest_path.parent().unwrap().file_name().unwrap();
        assert_eq!(*package.name, format!("ledger-{folder}"));
    }
}
