//! Show that each tidy rule catches its violation and lets good files pass.

use super::*;

const GOOD: &str = "//! Count the votes of one round.\n\nfn count() {}\n";

fn errors(path: &str, text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    sources::check(path, text, &mut findings);
    findings.errors
}

#[track_caller]
fn refused(path: &str, text: &str, expected: &str) {
    let found = errors(path, text);
    assert!(
        found.len() == 1 && found[0].contains(expected),
        "{path} gave {found:?}"
    );
}

#[test]
fn a_good_file_passes_everywhere() {
    for path in [
        "runtime/vm/src/meter.rs",
        "sdk/cli/src/main.rs",
        "tests/testkit/src/lib.rs",
    ] {
        assert_eq!(errors(path, GOOD), Vec::<String>::new());
    }
}

#[test]
fn long_files_warn_and_then_fail() {
    let of_length = |lines: usize| format!("{GOOD}{}", "// x\n".repeat(lines - 3));
    let mut findings = Findings::default();
    sources::check("a/b.rs", &of_length(400), &mut findings);
    assert!(findings.warnings.is_empty());
    sources::check("a/b.rs", &of_length(401), &mut findings);
    assert_eq!(findings.warnings.len(), 1);
    assert!(errors("a/b.rs", &of_length(800)).is_empty());
    refused("a/b.rs", &of_length(801), "at most 800");
}

#[test]
fn vague_names_are_refused() {
    refused("node/node/src/utils.rs", GOOD, "'utils'");
    refused("node/node/src/helpers/clock.rs", GOOD, "'helpers'");
    refused("node/node/src/peers/mod.rs", GOOD, "'mod'");
    refused("sdk/ts/src/common.ts", "", "'common'");
    assert!(errors("node/node/src/commons.rs", GOOD).is_empty());
}

#[test]
fn a_file_begins_with_what_it_owns() {
    refused("a/b.rs", "fn count() {}\n", "'//! '");
    refused("a/b.rs", "//! Votes.\n", "'//! '");
    refused("a/b.rs", "//! counts the votes\n", "'//! '");
    refused("a/b.rs", "", "'//! '");
}

#[test]
fn unfinished_work_is_refused() {
    for word in [
        "TO\u{44}O: later",
        "to\u{64}o!()",
        "FIX\u{4d}E",
        "#[igno\u{72}e]",
    ] {
        refused("a/b.rs", &format!("{GOOD}// {word}\n"), "finish it");
    }
    assert!(errors("a/b.rs", &format!("{GOOD}// to-do lists and FIXMENTS\n")).is_empty());
    let lazy = format!("{GOOD}#[igno\u{72}e = \"slow\"]\n");
    refused("a/b.rs", &lazy, "finish it");
}

#[test]
fn runtime_sources_may_not_use_what_differs_between_machines() {
    for word in ["HashMap", "HashSet", "SystemTime", "Instant", "f32", "f64"] {
        let bad = format!("{GOOD}type A = {word};\n");
        refused("runtime/state/src/tree.rs", &bad, word);
        assert!(errors("node/storage/src/tree.rs", &bad).is_empty());
        assert!(errors("runtime/state/benches/tree.rs", &bad).is_empty());
        assert!(errors("runtime/state/tests/tree.rs", &bad).is_empty());
        assert!(errors("runtime/state/src/tree/tests.rs", &bad).is_empty());
    }
    let in_words = format!("{GOOD}// HashMap is banned\nfn visit_f32_const() {{}}\n");
    assert!(errors("runtime/vm/src/meter.rs", &in_words).is_empty());
    let in_text = format!("{GOOD}const A: &str = \"no f32 here\"; // nor f64\n");
    assert!(errors("runtime/vm/src/meter.rs", &in_text).is_empty());
    refused(
        "runtime/vm/src/meter.rs",
        &format!("{GOOD}const A: (&str, f32) = (\"f\", 1);\n"),
        "f32",
    );
    let in_tests = format!("{GOOD}#[cfg(test)]\nmod tests {{\n    use X::Instant;\n}}\n");
    assert!(errors("runtime/vm/src/meter.rs", &in_tests).is_empty());
    let after_declared_tests = format!("{GOOD}#[cfg(test)]\nmod tests;\ntype A = f64;\n");
    refused("runtime/vm/src/meter.rs", &after_declared_tests, "f64");
}

#[test]
fn samples_and_other_files_are_left_alone() {
    assert!(sources::is_checked("a/b.rs"));
    assert!(!sources::is_checked(
        "sdk/contract-macros/tests/compile_fail/bad.rs"
    ));
    assert!(!sources::is_checked("README.md"));
}

#[test]
fn links_lead_to_files_and_headings() {
    let exists = |path: &str| ["docs/a.md", "docs/spec/b.md", "README.md"].contains(&path);
    let read = |path: &str| exists(path).then(|| "# Top\n## Gas, and `why`\n".to_owned());
    let check = |text: &str| links::check("docs/spec/b.md", text, &exists, &read);
    for good in [
        "[a](../a.md)",
        "[a](../../README.md) and [web](https://example.org/x#y)",
        "[here](#gas-and-why)",
        "[there](../a.md#top)",
        "```\n[not a link](nowhere.md)\n```",
    ] {
        assert_eq!(check(good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "[a](a.md)",
        "[a](../a.md) [b](../c.md)",
        "[here](#gas)",
        "[there](../a.md#bottom)",
    ] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
}

#[test]
fn missing_documents_are_named() {
    let all: Vec<String> = REQUIRED.iter().map(|path| (*path).to_owned()).collect();
    assert!(missing(&all).is_empty());
    assert_eq!(missing(&all[1..]), ["README.md: is missing"]);
}
