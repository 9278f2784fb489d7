//! Say what one kernel of the search is, and write its module.

use crate::wat::{imports, wasm};

/// Where in a kernel's memory its call's input lies; the rest of the first page is free.
pub(super) mod place {
    /// Hash of the kernel's own code.
    pub(in crate::gas_search) const CODE_HASH: u32 = 16;
    /// A public key of ed25519.
    pub(in crate::gas_search) const PUBLIC_KEY: u32 = 48;
    /// A signature by it of its own 32 bytes.
    pub(in crate::gas_search) const SIGNATURE: u32 = 80;
    /// A hash, and a signature of it that a secp256k1 key is recovered from.
    pub(in crate::gas_search) const RECOVERABLE: u32 = 144;
    /// A number that no two calls share.
    pub(in crate::gas_search) const NONCE: u32 = 244;
    /// The kernel's own address.
    pub(in crate::gas_search) const OWN: u32 = 256;
    /// Addresses of further contracts.
    pub(in crate::gas_search) const OTHERS: u32 = 288;
    /// 128 bytes for a key or an address; its first 4 change each round.
    pub(in crate::gas_search) const KEY: u32 = 4_096;
    /// Sixteen bytes of zero.
    pub(in crate::gas_search) const NOTHING: u32 = 4_300;
    /// An amount of one.
    pub(in crate::gas_search) const ONE: u32 = 4_316;
    /// Bytes of zero.
    pub(in crate::gas_search) const ZEROS: u32 = 4_500;
    /// Room for results.
    pub(in crate::gas_search) const OUT: u32 = 131_072;
    /// Bytes of a value; its first 8 change each round and call.
    pub(in crate::gas_search) const VALUE: u32 = 65_536;
}

/// Which keys of the state a kernel works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It touches none, or always the same.
    Same,
    /// Keys that nobody has touched, in every run.
    New,
    /// Those that `setup` wrote in an earlier block.
    Existing,
    /// The same, written again before every run, because the kernel removes or shrinks them.
    Restored,
}

/// What is charged for a kernel beside executing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costs {
    /// Execution alone: it changes nothing.
    Execution,
    /// Also the tree, the undo rows and the durable commit.
    Block,
}

/// A contract whose `call` does one thing again and again.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The parser's name of an instruction, or a host function.
    pub subject: String,
    /// What of it.
    pub name: String,
    /// Once in each call, before the rounds; its time and gas are not the kernel's.
    pub once: String,
    /// What each round does. Locals: `$n` counts rounds, `$a` to `$d` and `$s` (3) are i64, `$x`, `$y`, `$z` and `$t` (3)
    /// i32, `$f` is a function reference.
    pub body: String,
    /// What each round does in the block before.
    pub setup: String,
    /// Functions, globals, segments.
    pub items: String,
    /// Body of the query.
    pub query: String,
    /// Pages of memory.
    pub pages: u32,
    /// Pages that it may grow to, if it says so.
    pub pages_max: Option<u32>,
    /// Most rounds of one call.
    pub rounds_max: u32,
    /// Most rounds of `setup`.
    pub setup_max: u32,
    /// Calls in a block, each a transaction of its own.
    pub calls: u32,
    /// Which keys it works on.
    pub keys: Keys,
    /// What is charged for it.
    pub costs: Costs,
    /// Other contracts that it calls, which no node has in memory.
    pub cold: Vec<Vec<u8>>,
}

impl Kernel {
    /// One that only executes.
    #[must_use]
    pub fn executes(subject: &str, name: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            subject: subject.to_owned(),
            name: name.into(),
            once: String::new(),
            body: body.into(),
            setup: String::new(),
            items: String::new(),
            query: String::new(),
            pages: 4,
            pages_max: None,
            rounds_max: 50_000_000,
            setup_max: u32::MAX,
            calls: 1,
            keys: Keys::Same,
            costs: Costs::Execution,
            cold: Vec::new(),
        }
    }

    /// One whose block is committed.
    #[must_use]
    pub fn writes(subject: &str, name: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            costs: Costs::Block,
            ..Self::executes(subject, name, body)
        }
    }

    /// The same with a setup.
    #[must_use]
    pub fn on(self, keys: Keys, setup: impl Into<String>) -> Self {
        let setup = setup.into();
        Self {
            setup,
            keys,
            ..self
        }
    }

    /// The same with one entry of its setup, whatever the rounds.
    #[must_use]
    pub const fn on_one(mut self) -> Self {
        self.setup_max = 1;
        self
    }

    /// The Wasm.
    #[must_use]
    pub fn code(&self) -> Vec<u8> {
        wasm(&self.text())
    }

    fn text(&self) -> String {
        let Self {
            once,
            body,
            setup,
            items,
            query,
            pages,
            ..
        } = self;
        format!(
            r#"(module {imports}
  (type $unary (func (param i64) (result i64)))
  (memory (export "memory") {pages} {pages_max}) (table 256 funcref)
  (global $g (mut i64) (i64.const 1)) (global $h (mut i32) (i32.const 1))
  (elem (i32.const 0) func $id $twist)
  (func $id (type $unary) (local.get 0))
  (func $twist (type $unary) (i64.xor (local.get 0) (i64.const 0x5555)))
  {items}
  (func (export "init") (param i32)) (func (export "migrate") (param i32))
  (func (export "query") (param i32) {query})
  (func (export "call") (param $length i32)
    (local $n i32) (local $end i32) (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $s i64)
    (local $x i32) (local $y i32) (local $z i32) (local $t i32) (local $f funcref)
    (drop (call $input (i32.const 0) (local.get $length)))
    (i32.store8 (i32.const {one}) (i32.const 1))
    (local.set $n (i32.load (i32.const 4)))
    (local.set $end (i32.add (local.get $n) (i32.load (i32.const 0))))
    (local.set $a (i64.load (i32.const {seed}))) (local.set $b (i64.load (i32.const {seed1})))
    (local.set $c (i64.load (i32.const {seed2}))) (local.set $d (i64.load (i32.const {seed3})))
    (local.set $x (i32.load (i32.const {seed}))) (local.set $y (i32.load (i32.const {seed1})))
    (local.set $z (i32.load (i32.const {seed2})))
    (local.set $s (i64.load8_u (i32.const 12))) (local.set $t (i32.load8_u (i32.const 12)))
    (if (i32.load (i32.const 8))
      (then
        (block $all (loop $next
          (br_if $all (i32.ge_u (local.get $n) (local.get $end)))
          {setup}
          (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $next))))
      (else
        (memory.fill (i32.const 65536) (i32.const 0) (i32.const {touched}))
        {once}
        (block $all (loop $next
          (br_if $all (i32.ge_u (local.get $n) (local.get $end)))
          {body}
          (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $next)))))
    (i64.store (i32.const {sink}) (i64.add (i64.add (local.get $a) (local.get $b)) (i64.add (local.get $c) (local.get $d))))
    (i32.store (i32.const {sink}) (i32.add (i32.add (local.get $x) (local.get $y)) (local.get $z)))))"#,
            imports = imports(),
            pages_max = self
                .pages_max
                .map_or(String::new(), |pages| pages.to_string()),
            // Pages are paid for with the instance, so they are touched before the rounds.
            touched = (pages - 1) << 16,
            one = place::ONE,
            seed = place::CODE_HASH,
            seed1 = place::CODE_HASH + 8,
            seed2 = place::CODE_HASH + 16,
            seed3 = place::CODE_HASH + 24,
            sink = place::NOTHING + 64,
        )
    }
}

/// Lays a ring of addresses through the memory, `stride` bytes apart, each word holding the next one's place in an
/// order that no processor foresees.
#[must_use]
pub(super) fn ring(places_log2: u32, stride: u32, offset: u32) -> String {
    let mask = (1_u32 << places_log2) - 1;
    format!(
        "(local.set $y (i32.const 0))
         (loop $lay
           (i32.store offset={offset} (i32.mul (local.get $y) (i32.const {stride}))
             (i32.mul (i32.const {stride}) (i32.and (i32.const {mask})
               (i32.add (i32.mul (local.get $y) (i32.const 1664525)) (i32.const 1013904223)))))
           (br_if $lay (i32.le_u (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const {mask}))))
         (local.set $x (i32.const 0))"
    )
}
