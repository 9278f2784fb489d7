//! Hold the contract boundary to golden text: host functions, numbers, names.

use kumiki_abi::{HOST_FUNCTIONS, ResultCode, SdkError, ValueType};
use kumiki_conformance::Golden;

fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    }
}

#[test]
fn the_host_function_table_is_as_ever() {
    let mut golden = Golden::new("host_functions.txt");
    golden.add("module", kumiki_abi::IMPORT_MODULE);
    for (position, function) in HOST_FUNCTIONS.iter().enumerate() {
        let parameters: Vec<String> = function
            .parameters
            .iter()
            .map(|(name, value_type)| format!("{name}: {}", type_name(*value_type)))
            .collect();
        let result = function.result.map_or("()", type_name);
        golden.add(
            format!("{position:02}.{}", function.name),
            format!("({}) -> {result}", parameters.join(", ")),
        );
    }
    golden.compare();
}

#[test]
fn names_and_numbers_of_the_boundary_are_as_ever() {
    let mut golden = Golden::new("abi.txt");
    for (name, value) in [
        ("export.init", kumiki_abi::EXPORT_INIT),
        ("export.call", kumiki_abi::EXPORT_CALL),
        ("export.query", kumiki_abi::EXPORT_QUERY),
        ("export.migrate", kumiki_abi::EXPORT_MIGRATE),
        ("export.memory", kumiki_abi::EXPORT_MEMORY),
        ("section.fragments", kumiki_abi::METADATA_FRAGMENTS_SECTION),
        ("section.metadata", kumiki_abi::METADATA_SECTION),
        ("metadata.schema", kumiki_abi::metadata::SCHEMA),
    ] {
        golden.add(name, value);
    }
    for (name, value) in [
        ("not_found", kumiki_abi::NOT_FOUND),
        ("call.allow_reentry", kumiki_abi::CALL_ALLOW_REENTRY),
        ("call.read_only", kumiki_abi::CALL_READ_ONLY),
        ("scan.descending", kumiki_abi::SCAN_DESCENDING),
        ("revert.sdk", i32::from(kumiki_abi::REVERT_SDK)),
        ("revert.contract", i32::from(kumiki_abi::REVERT_CONTRACT)),
    ] {
        golden.add(name, value.to_string());
    }
    for number in 0..=u8::MAX {
        if let Some(error) = SdkError::from_number(number) {
            golden.add(format!("sdk_error.{number}"), format!("{error:?}"));
        }
    }
    for code in ResultCode::ALL {
        assert_eq!(ResultCode::from_i32(code.as_i32()), Some(code));
        golden.add(format!("result_code.{}", code.as_i32()), code.name());
    }
    golden.compare();
}
