//! Kernels of the host functions, each with every size that is a power of two, up to what is allowed.

use kumiki_protocol::limits::{
    CALL_DATA_BYTES_MAX, EVENT_DATA_BYTES_MAX, EVENT_TOPICS_MAX, EVENTS_MAX, STORAGE_KEY_BYTES_MAX,
    STORAGE_VALUE_BYTES_MAX,
};

use super::host_calls;
use super::kernel::{Kernel, Keys, place};

/// Nothing, then every power of two up to `max`.
pub(super) fn sizes(max: usize) -> impl Iterator<Item = usize> {
    [0].into_iter()
        .chain((0..=max.ilog2()).map(|log2| 1 << log2))
}

/// Gives the key a place in the tree that is new for each round.
pub(super) const SPREAD: &str =
    "(i32.store (i32.const 4096) (i32.mul (local.get $n) (i32.const 0x9e3779b1)))\n";
/// Makes the value another than before.
const CHANGED: &str = "(i64.store (i32.const 65536) (i64.or (i64.const 1) (i64.add (i64.extend_i32_u (local.get $n)) (i64.load (i32.const 244)))))\n";

/// The kernels of a host function; none where the search does not know it.
#[must_use]
pub(super) fn kernels(function: &str) -> Vec<Kernel> {
    match function {
        "input" | "return_data" | "chain_id" => copies(function),
        "ret" | "panic_message" => givers(function),
        "caller" | "self_address" | "value" => vec![Kernel::executes(
            function,
            "again and again",
            format!("(call ${function} (i32.const {}))\n", place::OUT).repeat(4),
        )],
        "height" | "block_time_ms" | "gas_left" => vec![Kernel::executes(
            function,
            "again and again",
            format!("(drop (call ${function}))\n").repeat(4),
        )],
        "storage_get" | "storage_has" => reads(function),
        "storage_set" => writes(),
        "storage_remove" => removals(),
        "storage_scan" => scans(),
        "emit_event" => events(),
        "sha3_256" | "keccak_256" | "sha2_256" | "blake2b_256" => sizes(128 << 10)
            .map(|size| {
                let call = format!(
                    "(call ${function} (i32.const 65536) (i32.const {size}) (i32.const {}))",
                    place::KEY
                );
                Kernel::executes(function, format!("{size} bytes"), call)
            })
            .collect(),
        "ed25519_verify" => ed25519(),
        "secp256k1_recover" => secp256k1(),
        _ => host_calls::kernels(function),
    }
}

fn copies(function: &str) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for size in sizes(CALL_DATA_BYTES_MAX) {
        let body = format!(
            "(drop (call ${function} (i32.const {}) (i32.const {size})))\n",
            place::OUT
        );
        let kernel = Kernel::executes(function, format!("{size} bytes at most"), body.repeat(2));
        // What a callee gave back is as long as its input.
        let once = format!(
            "(drop (call $call (i32.const {}) (i32.const 65536) (i32.const {size}) (i32.const {}) (i64.const 0) (i32.const 3)))",
            place::OWN,
            place::NOTHING
        );
        kernels.push(match function {
            "return_data" => Kernel {
                once,
                query: "(drop (call $input (i32.const 65536) (local.get 0))) (call $ret (i32.const 65536) (local.get 0))".to_owned(),
                ..kernel
            },
            _ => kernel,
        });
    }
    kernels
}

fn givers(function: &str) -> Vec<Kernel> {
    sizes(CALL_DATA_BYTES_MAX)
        .map(|size| {
            let body = format!("(call ${function} (i32.const 65536) (i32.const {size}))\n");
            Kernel::executes(function, format!("{size} bytes"), body)
        })
        .collect()
}

fn key(bytes: usize) -> String {
    format!("(i32.const {}) (i32.const {bytes})", place::KEY)
}

fn set(bytes: usize) -> String {
    format!(
        "{CHANGED}(call $storage_set {} (i32.const {}) (i32.const {bytes}))\n",
        key(16),
        place::VALUE
    )
}

/// Sizes of values: nothing is refused, so one byte at least.
fn value_sizes() -> impl Iterator<Item = usize> {
    sizes(STORAGE_VALUE_BYTES_MAX).skip(1)
}

fn reads(function: &str) -> Vec<Kernel> {
    let read = |key: String| match function {
        "storage_get" => format!(
            "(drop (call $storage_get {key} (i32.const {}) (i32.const 65536)))\n",
            place::OUT
        ),
        _ => format!("(drop (call $storage_has {key}))\n"),
    };
    let mut kernels = vec![Kernel::executes(
        function,
        "the same missing key",
        read(key(16)),
    )];
    for bytes in sizes(STORAGE_KEY_BYTES_MAX).skip(3) {
        let body = format!("{SPREAD}{}", read(key(bytes)));
        kernels.push(
            Kernel::executes(function, format!("missing keys of {bytes} bytes"), body)
                .on(Keys::New, ""),
        );
    }
    for bytes in value_sizes() {
        let body = format!("{SPREAD}{}", read(key(16)));
        let setup = format!("{SPREAD}{}", set(bytes));
        kernels.push(
            Kernel::executes(function, format!("values of {bytes} bytes"), body)
                .on(Keys::Existing, setup.clone()),
        );
        kernels.push(
            Kernel::executes(
                function,
                format!("the same value of {bytes} bytes"),
                read(key(16)),
            )
            .on(Keys::Existing, set(bytes))
            .on_one(),
        );
    }
    // Removed in the same call: looked for in what changed, found to be gone.
    kernels.push(Kernel {
        once: "(call $storage_remove (i32.const 4096) (i32.const 16))".to_owned(),
        ..Kernel::executes(function, "a key removed before", read(key(16)))
            .on(Keys::Restored, set(65_536))
            .on_one()
    });
    if function == "storage_get" {
        let body = format!(
            "{SPREAD}(drop (call $storage_get {} (i32.const 0) (i32.const 0)))",
            key(16)
        );
        kernels.push(
            Kernel::executes(function, "only the length of 64 KiB", body)
                .on(Keys::Existing, format!("{SPREAD}{}", set(65_536))),
        );
    }
    kernels
}

fn writes() -> Vec<Kernel> {
    let f = "storage_set";
    let mut kernels = vec![Kernel::writes(f, "the same key", set(32))];
    for bytes in value_sizes() {
        let body = format!("{SPREAD}{}", set(bytes));
        kernels
            .push(Kernel::writes(f, format!("{bytes} bytes at new keys"), &body).on(Keys::New, ""));
        kernels.push(
            Kernel::writes(f, format!("{bytes} bytes over others"), &body)
                .on(Keys::Existing, &body),
        );
        let small = format!("{SPREAD}{}", set(1));
        kernels.push(
            Kernel::writes(f, format!("1 byte over {bytes}"), small).on(Keys::Restored, &body),
        );
        kernels.push(Kernel::writes(
            f,
            format!("{bytes} bytes over themselves"),
            set(bytes),
        ));
    }
    for bytes in sizes(STORAGE_KEY_BYTES_MAX).skip(3) {
        let body = format!(
            "{SPREAD}{CHANGED}(call $storage_set {} (i32.const 65536) (i32.const 32))",
            key(bytes)
        );
        kernels.push(
            Kernel::writes(f, format!("32 bytes at new keys of {bytes} bytes"), &body)
                .on(Keys::New, ""),
        );
        kernels.push(
            Kernel::writes(
                f,
                format!("32 bytes over others, keys of {bytes} bytes"),
                &body,
            )
            .on(Keys::Existing, &body),
        );
    }
    // Every 16th of many: each write has a bucket of the tree to itself, and pages of the store.
    let sparse = "(i32.store (i32.const 4096) (i32.mul (local.get $n) (i32.const 0x6a09e667)))\n";
    let many = format!(
        "(local.set $z (i32.const 0))
         (loop $bucket
           (i32.store (i32.const 4096) (i32.mul (local.get $n) (i32.const 0x6a09e667)))
           (i32.store8 (i32.const 4100) (local.get $z)) {}
           (br_if $bucket (i32.lt_u (local.tee $z (i32.add (local.get $z) (i32.const 1))) (i32.const 16))))
         (i32.store8 (i32.const 4100) (i32.const 0))",
        set(32)
    );
    kernels.push(
        Kernel::writes(
            f,
            "32 bytes over every 16th of many",
            format!("{sparse}{}", set(32)),
        )
        .on(Keys::Existing, many),
    );
    kernels.extend([8, 12, 13, 20, 124].map(comb));
    kernels
}

/// Keys that part from each other at every bit of `bytes` bytes: the deepest path that the tree can have with them.
fn comb(bytes: usize) -> Kernel {
    // Tooth `$z` of comb `$n`, which the first byte names: so many bits of one, then zeros.
    let teeth = (bytes - 1) * 8;
    let tooth = format!(
        "{SPREAD}
         (memory.fill (i32.const 4097) (i32.const 0) (i32.const 127))
         (memory.fill (i32.const 4097) (i32.const 255) (i32.shr_u (local.get $z) (i32.const 3)))
         (i32.store8 offset=4097 (i32.shr_u (local.get $z) (i32.const 3))
           (i32.shr_u (i32.const 0xff00) (i32.and (local.get $z) (i32.const 7))))
         {CHANGED}(call $storage_set {} (i32.const 65536) (i32.const 8))",
        key(bytes)
    );
    let setup = format!(
        "(local.set $z (i32.const 0))
         (loop $teeth {tooth}
           (br_if $teeth (i32.lt_u (local.tee $z (i32.add (local.get $z) (i32.const 1))) (i32.const {teeth}))))"
    );
    let deepest = format!("(local.set $z (i32.const {})) {tooth}", teeth - 1);
    Kernel {
        rounds_max: 100,
        ..Kernel::writes(
            "storage_set",
            format!("the deepest key of {bytes} bytes in a tree that parts at each bit"),
            deepest,
        )
        .on(Keys::Existing, setup)
    }
}

fn removals() -> Vec<Kernel> {
    let f = "storage_remove";
    let remove = format!("(call $storage_remove {})", key(16));
    let mut kernels = vec![
        Kernel::writes(f, "the same missing key", &remove),
        Kernel::writes(f, "missing keys", format!("{SPREAD}{remove}")).on(Keys::New, ""),
    ];
    for bytes in value_sizes() {
        let setup = format!("{SPREAD}{}", set(bytes));
        kernels.push(
            Kernel::writes(
                f,
                format!("values of {bytes} bytes"),
                format!("{SPREAD}{remove}"),
            )
            .on(Keys::Restored, setup),
        );
        let both = format!("{SPREAD}{}{remove}", set(bytes));
        kernels.push(
            Kernel::writes(f, format!("values of {bytes} bytes set just before"), both)
                .on(Keys::New, ""),
        );
    }
    kernels
}

fn scans() -> Vec<Kernel> {
    let f = "storage_scan";
    let scan = |prefix: usize, limit: u32, flags: u32| {
        format!(
            "(drop (call $storage_scan (i32.const 4096) (i32.const {prefix}) (i32.const 0) (i32.const 0)
               (i32.const {limit}) (i32.const {flags}) (i32.const {}) (i32.const 131072)))",
            place::OUT
        )
    };
    let mut kernels = vec![Kernel::executes(f, "nothing", scan(16, 256, 0))];
    kernels.push(
        Kernel::executes(
            f,
            "nothing, elsewhere each time",
            format!("{SPREAD}{}", scan(16, 256, 0)),
        )
        .on(Keys::New, ""),
    );
    for bytes in value_sizes() {
        let setup = format!("{SPREAD}{}", set(bytes));
        for (flags, name) in [(0, "up"), (1, "down")] {
            let body = scan(0, 256, flags);
            // What a page has room for is all that is loaded.
            let kernel = Kernel::executes(
                f,
                format!("all there is, {name}, values of {bytes} bytes"),
                body,
            );
            kernels.push(Kernel {
                setup_max: 256,
                ..kernel.on(Keys::Existing, &setup)
            });
        }
        let one = format!("{SPREAD}{}", scan(16, 1, 0));
        kernels.push(
            Kernel::executes(f, format!("one entry of {bytes} bytes"), one)
                .on(Keys::Existing, &setup),
        );
        let removed = format!("{SPREAD}(call $storage_remove {})", key(16));
        let passed = format!("{SPREAD}{}", scan(16, 1, 0));
        // All are removed before the rounds, so that each scan finds a removed entry and nothing else.
        let once = format!(
            "(local.set $y (local.get $n)) (block $gone (loop $more
               (br_if $gone (i32.ge_u (local.get $n) (i32.add (local.get $y) (i32.const 200)))) {removed}
               (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $more))) (local.set $n (local.get $y))"
        );
        kernels.push(Kernel {
            once,
            rounds_max: 200,
            ..Kernel::executes(f, format!("removed entries of {bytes} bytes"), passed)
                .on(Keys::Restored, setup)
        });
    }
    kernels
}

fn events() -> Vec<Kernel> {
    let with = |topics: usize, bytes: usize| {
        Kernel {
        rounds_max: u32::try_from(EVENTS_MAX).unwrap_or(u32::MAX),
        calls: 100,
        ..Kernel::writes(
            "emit_event",
            format!("{topics} topics, {bytes} bytes"),
            format!(
                "{SPREAD}(i32.store (i32.const 4128) (local.get $n)) (i32.store (i32.const 4160) (local.get $n))
                 (i32.store (i32.const 4192) (local.get $n))
                 (call $emit_event (i32.const 4096) (i32.const {topics}) (i32.const 65536) (i32.const {bytes}))"
            ),
        )
        .on(Keys::New, "")
    }
    };
    let sized = sizes(EVENT_DATA_BYTES_MAX).map(|bytes| with(0, bytes));
    let topics = (1..=EVENT_TOPICS_MAX).map(|count| with(count, 0));
    sized.chain(topics).collect()
}

fn ed25519() -> Vec<Kernel> {
    let f = "ed25519_verify";
    let call = |key: u32, signature: u32, at: u32, bytes: usize| {
        format!(
            "(drop (call $ed25519_verify (i32.const {key}) (i32.const {signature}) (i32.const {at}) (i32.const {bytes})))"
        )
    };
    let (key, signature) = (place::PUBLIC_KEY, place::SIGNATURE);
    let mut kernels = vec![
        Kernel::executes(f, "a valid one", call(key, signature, key, 32)),
        Kernel::executes(
            f,
            "the key of small order",
            call(place::ZEROS, signature, key, 32),
        ),
        Kernel::executes(f, "zeros", call(place::ZEROS, place::ZEROS, key, 32)),
    ];
    for bytes in sizes(128 << 10) {
        kernels.push(Kernel::executes(
            f,
            format!("an invalid one of {bytes} bytes"),
            call(key, signature, 65_536, bytes),
        ));
    }
    kernels
}

fn secp256k1() -> Vec<Kernel> {
    let f = "secp256k1_recover";
    let call = |hash: u32, signature: u32| {
        format!(
            "(drop (call $secp256k1_recover (i32.const {hash}) (i32.const {signature}) (i32.const {})))",
            place::OUT
        )
    };
    let (hash, signature) = (place::RECOVERABLE, place::RECOVERABLE + 32);
    vec![
        Kernel::executes(f, "a valid one", call(hash, signature)),
        Kernel::executes(
            f,
            "hashes that change",
            format!(
                "(i32.store (i32.const {hash}) (local.get $n)) {}",
                call(hash, signature)
            ),
        ),
        Kernel::executes(f, "no point", call(hash, place::KEY)),
        Kernel::executes(
            f,
            "id 1",
            format!(
                "(i32.store8 (i32.const {}) (i32.const 1)) {}",
                signature + 64,
                call(hash, signature)
            ),
        ),
    ]
}
