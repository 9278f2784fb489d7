//! Check what a contract declares outside its functions: types, imports, memory, exports, segments.

use kumiki_abi::{EXPORT_MEMORY, HOST_FUNCTIONS, IMPORT_MODULE, ValueType};
use wasmparser::{
    CompositeInnerType, DataKind, ElementItems, ElementKind, Export, ExternalKind, FuncType,
    Import, Operator, Payload, TypeRef, ValType,
};

use super::{InvalidCode, limits, limits::check};
use crate::{Entry, gas};

/// Exports that begin with this are ours.
pub(crate) const RESERVED_EXPORT_PREFIX: &str = "kumiki:";

/// What the sections read so far declare.
#[derive(Debug, Default)]
pub(super) struct Sections {
    types: Vec<FuncType>,
    /// Type index by function index, imported ones first.
    functions: Vec<u32>,
    table_entries: Option<u64>,
    memory_pages: Option<u64>,
    memory_pages_max: u64,
    globals: u64,
    data_bytes: u64,
    custom_bytes: u64,
    exports_memory: bool,
    entries: [bool; 4],
}

impl Sections {
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> Result<(), InvalidCode> {
        match payload {
            Payload::TypeSection(reader) => {
                check("types", u64::from(reader.count()), limits::TYPES_MAX)?;
                for group in reader.clone() {
                    for sub in group.map_err(|error| super::explain(&error))?.into_types() {
                        self.read_type(&sub.composite_type.inner)?;
                    }
                }
            }
            Payload::ImportSection(reader) => {
                check("imports", u64::from(reader.count()), limits::IMPORTS_MAX)?;
                for import in reader.clone().into_imports() {
                    check(
                        "imports",
                        self.functions.len() as u64 + 1,
                        limits::IMPORTS_MAX,
                    )?;
                    self.read_import(&import.map_err(|error| super::explain(&error))?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                check(
                    "functions",
                    u64::from(reader.count()),
                    limits::FUNCTIONS_MAX,
                )?;
                for index in reader.clone() {
                    let index = index.map_err(|error| super::explain(&error))?;
                    self.signature(index)?;
                    self.functions.push(index);
                }
            }
            Payload::TableSection(reader) => self.read_tables(reader)?,
            Payload::MemorySection(reader) => self.read_memories(reader)?,
            Payload::GlobalSection(reader) => {
                self.globals = u64::from(reader.count());
                check("globals", self.globals, limits::GLOBALS_MAX)?;
            }
            Payload::ExportSection(reader) => {
                check("exports", u64::from(reader.count()), limits::EXPORTS_MAX)?;
                for export in reader.clone() {
                    self.read_export(&export.map_err(|error| super::explain(&error))?)?;
                }
            }
            Payload::ElementSection(reader) => self.read_elements(reader)?,
            Payload::DataSection(reader) => self.read_data(reader)?,
            Payload::StartSection { .. } => {
                return Err(InvalidCode::new(
                    "a start function is not allowed: do its work in `init`",
                ));
            }
            Payload::CustomSection(section) => {
                self.custom_bytes += section.data().len() as u64;
                check(
                    "bytes of custom sections",
                    self.custom_bytes,
                    limits::CUSTOM_BYTES_MAX,
                )
                .map_err(|mut error| {
                    error
                        .message
                        .push_str(": strip debug sections, as `kumiki build` does");
                    error
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn read_tables(
        &mut self,
        reader: &wasmparser::TableSectionReader<'_>,
    ) -> Result<(), InvalidCode> {
        check("tables", u64::from(reader.count()), 1)?;
        for table in reader.clone() {
            let table = table.map_err(|error| super::explain(&error))?.ty;
            check("table entries", table.initial, limits::TABLE_ENTRIES_MAX)?;
            self.table_entries = Some(table.initial);
        }
        Ok(())
    }

    fn read_memories(
        &mut self,
        reader: &wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), InvalidCode> {
        check("memories", u64::from(reader.count()), 1)?;
        for memory in reader.clone() {
            let memory = memory.map_err(|error| super::explain(&error))?;
            check("memory pages", memory.initial, limits::MEMORY_PAGES_MAX)?;
            self.memory_pages = Some(memory.initial);
            self.memory_pages_max = memory_pages_max(&memory);
        }
        Ok(())
    }

    fn read_type(&mut self, inner: &CompositeInnerType) -> Result<(), InvalidCode> {
        let CompositeInnerType::Func(function) = inner else {
            return Err(InvalidCode::new("only function types are allowed"));
        };
        check(
            "parameters in a type",
            function.params().len() as u64,
            limits::PARAMS_MAX,
        )?;
        check(
            "results in a type",
            function.results().len() as u64,
            limits::PARAMS_MAX,
        )?;
        self.types.push(function.clone());
        Ok(())
    }

    /// What compiling the types costs at deployment.
    pub(super) fn types_gas(&self) -> u64 {
        let of_type = |declared: &FuncType| {
            let values = declared.params().len() + declared.results().len();
            gas::DEPLOY_PER_TYPE + values as u64 * gas::DEPLOY_PER_LOCAL
        };
        self.types.iter().map(of_type).sum()
    }

    fn read_import(&mut self, import: &Import<'_>) -> Result<(), InvalidCode> {
        let name = format!("{}.{}", import.module, import.name);
        let host = HOST_FUNCTIONS
            .iter()
            .find(|host| import.module == IMPORT_MODULE && import.name == host.name)
            .ok_or_else(|| {
                InvalidCode::new(format!(
                    "import {name} is unknown: contracts may import the functions of {IMPORT_MODULE} only"
                ))
            })?;
        let TypeRef::Func(index) = import.ty else {
            return Err(InvalidCode::new(format!(
                "import {name} must be a function"
            )));
        };
        let declared = self.function_type(index)?;
        let value_type = |kind: ValueType| match kind {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        };
        let params_fit = declared
            .params()
            .iter()
            .copied()
            .eq(host.parameters.iter().map(|(_, kind)| value_type(*kind)));
        let result_fits = declared
            .results()
            .iter()
            .copied()
            .eq(host.result.map(value_type));
        if !params_fit || !result_fits {
            return Err(InvalidCode::new(format!(
                "import {name} is declared with another type than the host has: use the SDK's declarations"
            )));
        }
        self.functions.push(index);
        Ok(())
    }

    fn read_export(&mut self, export: &Export<'_>) -> Result<(), InvalidCode> {
        if export.name.starts_with(RESERVED_EXPORT_PREFIX) {
            return Err(InvalidCode::new(format!(
                "export {} is reserved: rename it",
                export.name
            )));
        }
        if export.name == EXPORT_MEMORY {
            if export.kind != ExternalKind::Memory {
                return Err(InvalidCode::new("export memory must be the linear memory"));
            }
            self.exports_memory = true;
        }
        for entry in Entry::ALL {
            if export.name == entry.export() {
                self.check_entry(export)?;
                self.entries[entry.index()] = true;
            }
        }
        Ok(())
    }

    fn check_entry(&self, export: &Export<'_>) -> Result<(), InvalidCode> {
        let fits = export.kind == ExternalKind::Func
            && self
                .functions
                .get(export.index as usize)
                .and_then(|index| self.types.get(*index as usize))
                .is_some_and(|kind| kind.params() == [ValType::I32] && kind.results().is_empty());
        if fits {
            Ok(())
        } else {
            Err(InvalidCode::new(format!(
                "export {} must be a function (input_len: i32) -> ()",
                export.name
            )))
        }
    }

    fn read_elements(
        &mut self,
        reader: &wasmparser::ElementSectionReader<'_>,
    ) -> Result<(), InvalidCode> {
        check(
            "element segments",
            u64::from(reader.count()),
            limits::ELEMENT_SEGMENTS_MAX,
        )?;
        let table = self.table_entries.unwrap_or(0);
        for element in reader.clone() {
            let element = element.map_err(|error| super::explain(&error))?;
            let count = match &element.items {
                ElementItems::Functions(items) => u64::from(items.count()),
                ElementItems::Expressions(_, items) => u64::from(items.count()),
            };
            check(
                "entries in an element segment",
                count,
                limits::TABLE_ENTRIES_MAX,
            )?;
            if let ElementKind::Active { offset_expr, .. } = &element.kind {
                check_inside("element", const_offset(offset_expr)?, count, table)?;
            }
        }
        Ok(())
    }

    fn read_data(&mut self, reader: &wasmparser::DataSectionReader<'_>) -> Result<(), InvalidCode> {
        check(
            "data segments",
            u64::from(reader.count()),
            limits::DATA_SEGMENTS_MAX,
        )?;
        let memory = self.memory_pages.unwrap_or(0) << 16;
        for data in reader.clone() {
            let data = data.map_err(|error| super::explain(&error))?;
            let length = data.data.len() as u64;
            self.data_bytes += length;
            if let DataKind::Active { offset_expr, .. } = &data.kind {
                check_inside("data", const_offset(offset_expr)?, length, memory)?;
            }
        }
        Ok(())
    }

    pub(super) fn check_whole(&self) -> Result<(), InvalidCode> {
        if !self.exports_memory {
            return Err(InvalidCode::new("the memory must be exported as `memory`"));
        }
        if !self.entries[Entry::Call.index()] && !self.entries[Entry::Query.index()] {
            return Err(InvalidCode::new(
                "there is neither an export `call` nor `query`: is this a contract, and is its crate type cdylib?",
            ));
        }
        Ok(())
    }

    fn function_type(&self, index: u32) -> Result<&FuncType, InvalidCode> {
        self.types
            .get(index as usize)
            .ok_or_else(|| InvalidCode::new("a function has an unknown type"))
    }

    /// Parameter count and result of a function type that a function may have.
    pub(super) fn signature(&self, index: u32) -> Result<(u32, Option<ValType>), InvalidCode> {
        let function = self.function_type(index)?;
        check("results of a function", function.results().len() as u64, 1)?;
        let params = u32::try_from(function.params().len()).unwrap_or(u32::MAX);
        Ok((params, function.results().first().copied()))
    }

    pub(super) fn instance_gas(&self) -> u64 {
        let pages = self.memory_pages.unwrap_or(0);
        pages.saturating_sub(gas::INSTANCE_PAGES_FREE) * gas::MEMORY_PAGE
            + self.data_bytes.div_ceil(8) * gas::INSTANCE_DATA_PER_8_BYTES
            + self.table_entries.unwrap_or(0) * gas::INSTANCE_TABLE_ENTRY
            + self.globals * gas::INSTANCE_GLOBAL
    }

    pub(super) const fn memory_size(&self) -> gas::MemorySize {
        if self.memory_pages_max <= limits::SMALL_MEMORY_PAGES {
            gas::MemorySize::Small
        } else {
            gas::MemorySize::Large
        }
    }

    pub(super) const fn entries(&self) -> [bool; 4] {
        self.entries
    }
}

/// Pages that the memory may grow to.
pub(crate) fn memory_pages_max(memory: &wasmparser::MemoryType) -> u64 {
    let unstated = memory.initial.max(limits::SMALL_MEMORY_PAGES);
    memory
        .maximum
        .unwrap_or(unstated)
        .min(limits::MEMORY_PAGES_MAX)
}

/// Segments outside their memory or table would stop every instance; they are refused instead.
fn check_inside(what: &str, offset: u64, length: u64, whole: u64) -> Result<(), InvalidCode> {
    if offset + length > whole {
        return Err(InvalidCode::new(format!(
            "a {what} segment of {length} at {offset} lies outside the initial {whole}"
        )));
    }
    Ok(())
}

fn const_offset(expression: &wasmparser::ConstExpr<'_>) -> Result<u64, InvalidCode> {
    let first = expression
        .get_operators_reader()
        .read()
        .map_err(|error| super::explain(&error))?;
    match first {
        Operator::I32Const { value } => Ok(u64::from(value.cast_unsigned())),
        _ => Err(InvalidCode::new("segment offsets must be i32.const")),
    }
}
