//! A librdkafka handle with its callbacks: errors, logs, deliveries, rebalances and commit results.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use tracing::{debug, error, info, warn};

use super::conf::{Conf, text_of};
use super::{list, producer};
use crate::producer::{Delivery, Resend};
use crate::settings::{KafkaSettings, Role, SettingsError};
use crate::{Error, TopicPartition};

/// How long one slice of a metadata request may block before an authentication failure is looked for.
const PROBE_SLICE: Duration = Duration::from_millis(250);

/// What the callbacks write and the owner reads.
#[derive(Default)]
pub(crate) struct Shared {
    /// The brokers asked first, to name them in messages; set when the client is made.
    bootstrap: String,
    /// The latest trouble with the connection; cleared by a success.
    trouble: Mutex<Trouble>,
    /// Whether there is trouble at all, to be looked at for every record.
    troubled: AtomicBool,
    /// The error that made the client useless, if any.
    fatal: OnceLock<String>,
    /// A rebalance that the group has asked for and the worker has not yet answered.
    pub(super) rebalance: Mutex<Option<Rebalance>>,
    /// Results of asynchronous commits.
    pub(super) commits: Mutex<Vec<CommitResult>>,
    /// The hook for deliveries; only a producer has one.
    pub(crate) deliveries: OnceLock<producer::DeliveryHook>,
    /// What came back to a producer because its topic seemed to be gone.
    pub(crate) resend: Resend,
    /// The producer is transactional: what comes back fails its transaction and is not sent again behind its back.
    pub(crate) is_transactional: bool,
    /// The last record that was not written, and why.
    pub(crate) failed_record: Mutex<Option<(TopicPartition, RDKafkaErrorCode)>>,
    /// Set while the consumer closes: the rebalance callback must answer by itself.
    pub(super) closing: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct Trouble {
    /// The last connection failure, for instance "Connection refused".
    transport: Option<String>,
    /// The last connection that a broker closed, which librdkafka only logs.
    closed: Option<String>,
    /// All brokers are down.
    all_down: bool,
    /// A broker has answered at least once: only then is one missed.
    was_up: bool,
    /// Credentials or certificates were refused.
    authentication: Option<String>,
}

/// What the group wants of this member.
pub(crate) enum Rebalance {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
}

/// The outcome of an asynchronous commit.
pub(crate) struct CommitResult {
    pub(crate) offsets: Vec<(TopicPartition, Option<i64>)>,
    pub(crate) error: Option<RDKafkaErrorCode>,
}

/// A lock whose holder panicked still guards plain data here: go on with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// That of a transactional producer.
    pub(crate) fn transactional() -> Self {
        Self { is_transactional: true, ..Self::default() }
    }

    /// What is wrong with the connection right now, in words; `None` while at least one broker is up.
    pub(crate) fn problem(&self) -> Option<String> {
        let trouble = lock(&self.trouble);
        if let Some(text) = &trouble.authentication {
            return Some(text.clone());
        }
        if !trouble.all_down {
            return None;
        }
        Some(trouble.transport.clone().unwrap_or_else(|| "all brokers are down".into()))
    }

    /// The best that is known of why no broker answers.
    fn last_failure(&self) -> Option<String> {
        let trouble = lock(&self.trouble);
        let closed = || {
            let text = trouble.closed.as_ref()?;
            Some(format!("{text}; the listener may want TLS or SASL: check security.protocol"))
        };
        trouble.transport.clone().or_else(closed)
    }

    fn authentication(&self) -> Option<String> {
        lock(&self.trouble).authentication.clone()
    }

    /// A broker answered: whatever was wrong is over.
    pub(crate) fn clear_problem(&self) {
        let mut trouble = lock(&self.trouble);
        if trouble.all_down && trouble.was_up {
            // As loud as the warning that it takes back.
            warn!(brokers = self.bootstrap, "brokers are back");
        }
        *trouble = Trouble { was_up: true, ..Trouble::default() };
        self.troubled.store(false, Ordering::Relaxed);
    }

    /// Notes that a broker answered; costs one load while nothing was wrong.
    #[inline]
    pub(crate) fn note_success(&self) {
        if self.troubled.load(Ordering::Relaxed) {
            self.clear_problem();
        }
    }

    /// Reports a record's fate. A panic must not unwind into C, where this is called from: the client is declared dead
    /// instead, which its user sees at the next call.
    pub(crate) fn deliver(&self, delivery: &Delivery) {
        let Some(hook) = self.deliveries.get() else { return };
        if catch_unwind(AssertUnwindSafe(|| lock(hook)(delivery))).is_err() {
            self.set_fatal("the delivery hook panicked".into());
        }
    }

    /// Makes the client useless for a reason; only the first one counts.
    pub(super) fn set_fatal(&self, detail: String) {
        error!(detail, "the kafka client failed for good");
        self.fatal.get_or_init(|| detail);
    }

    /// The error that made the client useless.
    pub(crate) fn fatal(&self) -> Option<&str> {
        self.fatal.get().map(String::as_str)
    }
}

/// A client of any role. Clones of the `Arc` around it keep it alive; the last one destroys it.
pub(crate) struct Client {
    handle: *mut rd::rd_kafka_t,
    shared: Arc<Shared>,
}

// SAFETY: librdkafka handles may be used from any thread at once.
unsafe impl Send for Client {}
// SAFETY: as above; what the callbacks touch is behind locks.
unsafe impl Sync for Client {}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub(crate) fn new(settings: &KafkaSettings, role: Role, shared: Shared) -> Result<Arc<Self>, Error> {
        let conf = Conf::build(&settings.for_role(role))?;
        let shared = Arc::new(Shared { bootstrap: settings.bootstrap().to_owned(), ..shared });
        let kind = match role {
            Role::Producer | Role::Admin => rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            Role::Consumer => rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
        };
        let mut text = [0 as c_char; 512];
        // SAFETY: the opaque pointer is that of `shared`, which the client keeps for as long as the handle lives;
        // `rd_kafka_new` takes the configuration only if it succeeds, else it is freed here.
        let handle = unsafe {
            rd::rd_kafka_conf_set_opaque(conf.as_ptr(), Arc::as_ptr(&shared).cast_mut().cast());
            rd::rd_kafka_conf_set_error_cb(conf.as_ptr(), Some(on_error));
            rd::rd_kafka_conf_set_log_cb(conf.as_ptr(), Some(on_log));
            match role {
                Role::Producer => rd::rd_kafka_conf_set_dr_msg_cb(conf.as_ptr(), Some(producer::on_delivery)),
                Role::Consumer => {
                    rd::rd_kafka_conf_set_rebalance_cb(conf.as_ptr(), Some(on_rebalance));
                    rd::rd_kafka_conf_set_offset_commit_cb(conf.as_ptr(), Some(on_commit));
                }
                Role::Admin => {}
            }
            let conf = conf.into_ptr();
            let handle = rd::rd_kafka_new(kind, conf, text.as_mut_ptr(), text.len());
            if handle.is_null() {
                rd::rd_kafka_conf_destroy(conf);
            }
            handle
        };
        if handle.is_null() {
            return Err(SettingsError::Conflict { detail: text_of(&text) }.into());
        }
        Ok(Arc::new(Self { handle, shared }))
    }

    pub(crate) fn handle(&self) -> *mut rd::rd_kafka_t {
        self.handle
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.shared.bootstrap
    }

    /// The code of the error that made the client useless.
    pub(crate) fn fatal_code(&self) -> Option<RDKafkaErrorCode> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the handle is valid; the buffer's length is passed.
        check(unsafe { rd::rd_kafka_fatal_error(self.handle, text.as_mut_ptr(), text.len()) }).err()
    }

    /// Serves callbacks for at most `timeout`.
    pub(crate) fn poll(&self, timeout: Duration) {
        // SAFETY: the handle is valid.
        unsafe { rd::rd_kafka_poll(self.handle, millis(timeout)) };
    }

    /// The cluster's metadata, asked for until `timeout`; the error says what the connections said.
    pub(crate) fn metadata(&self, timeout: Duration) -> Result<crate::Cluster, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let mut pointer = std::ptr::null();
            let slice = PROBE_SLICE.min(deadline.saturating_duration_since(Instant::now()));
            // SAFETY: the handle is valid; on success the metadata is ours to free, after it was copied.
            let code = unsafe {
                rd::rd_kafka_metadata(
                    self.handle,
                    1,
                    std::ptr::null_mut(),
                    &raw mut pointer,
                    millis(slice).max(1),
                )
            };
            if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                // SAFETY: filled by the successful call above, freed once.
                let cluster = unsafe {
                    let cluster = super::metadata::read(pointer);
                    rd::rd_kafka_metadata_destroy(pointer);
                    cluster
                };
                self.shared.clear_problem();
                return Ok(cluster);
            }
            self.poll(Duration::ZERO);
            if let Some(detail) = self.shared.authentication() {
                return Err(Error::Authentication { bootstrap: self.bootstrap().to_owned(), detail });
            }
            if Instant::now() >= deadline {
                let detail = self.shared.last_failure().unwrap_or_else(|| error_code(code).to_string());
                return Err(Error::Unreachable {
                    bootstrap: self.bootstrap().to_owned(),
                    waited: timeout,
                    detail,
                });
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        // SAFETY: the last owner destroys the handle; queues, topics and messages keep an `Arc` of this client.
        unsafe { rd::rd_kafka_destroy(self.handle) }
    }
}

/// A timeout in librdkafka's milliseconds.
pub(crate) fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

/// librdkafka's code as rdkafka's type.
pub(crate) fn error_code(code: rd::rd_kafka_resp_err_t) -> RDKafkaErrorCode {
    RDKafkaErrorCode::from(code)
}

/// `Ok` for "no error".
pub(crate) fn check(code: rd::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    match code {
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        other => Err(error_code(other)),
    }
}

/// Takes an error object of librdkafka's newer calls. SAFETY: null or owned by the caller, who gives it away.
pub(crate) unsafe fn take_error(pointer: *mut rd::rd_kafka_error_t) -> Result<(), RDKafkaErrorCode> {
    if pointer.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so valid; destroyed once.
    let code = unsafe {
        let code = rd::rd_kafka_error_code(pointer);
        rd::rd_kafka_error_destroy(pointer);
        code
    };
    Err(error_code(code))
}

/// SAFETY: null or a valid C string.
pub(super) unsafe fn lossy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, so valid by contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// SAFETY: `opaque` is the pointer set in [`Client::new`], valid while callbacks can run.
pub(super) unsafe fn shared_of<'a>(opaque: *mut c_void) -> &'a Shared {
    // SAFETY: by contract.
    unsafe { &*opaque.cast::<Shared>() }
}

unsafe extern "C" fn on_error(
    rk: *mut rd::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka passes a valid string and our opaque pointer.
    let (shared, text) = unsafe { (shared_of(opaque), lossy(reason)) };
    shared.troubled.store(true, Ordering::Relaxed);
    match code {
        c if c == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as c_int => {
            let mut trouble = lock(&shared.trouble);
            if !trouble.all_down {
                trouble.all_down = true;
                if trouble.was_up {
                    let detail = trouble.transport.as_deref().unwrap_or(&text);
                    warn!(brokers = shared.bootstrap, detail, "brokers are away");
                }
            }
        }
        c if c == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__AUTHENTICATION as c_int
            || c == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__SSL as c_int =>
        {
            lock(&shared.trouble).authentication = Some(text);
        }
        c if c == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__FATAL as c_int => {
            let mut detail = [0 as c_char; 512];
            // SAFETY: the handle is valid inside its own callback; the buffer's length is passed.
            unsafe { rd::rd_kafka_fatal_error(rk, detail.as_mut_ptr(), detail.len()) };
            shared.set_fatal(text_of(&detail));
        }
        _ => {
            debug!(text, "kafka client error");
            lock(&shared.trouble).transport = Some(text);
        }
    }
}

unsafe extern "C" fn on_log(
    rk: *const rd::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: librdkafka passes valid strings.
    let (facility, text) = unsafe { (lossy(facility), lossy(text)) };
    if facility == "FAIL" && !rk.is_null() {
        // SAFETY: a valid handle, and our opaque pointer, which was set before the handle was made.
        let shared = unsafe { shared_of(rd::rd_kafka_opaque(rk)) };
        // The text begins with the name of librdkafka's thread.
        lock(&shared.trouble).closed =
            Some(text.split_once("]: ").map_or(&*text, |(_, rest)| rest).to_owned());
    }
    // Connection failures arrive through the error callback too and are told there, once and with context;
    // warnings about a property of the other role, or a first try that is repeated by itself, are of no use to anybody.
    let told_elsewhere =
        matches!(facility.as_str(), "FAIL" | "ERROR" | "CONFWARN" | "REQTMOUT" | "CONNECT" | "GETPID");
    match level {
        _ if told_elsewhere => debug!(target: "librdkafka", facility, text, "client log"),
        0..=3 => error!(target: "librdkafka", facility, text, "client log"),
        4 => warn!(target: "librdkafka", facility, text, "client log"),
        5 | 6 => info!(target: "librdkafka", facility, text, "client log"),
        _ => debug!(target: "librdkafka", facility, text, "client log"),
    }
}

unsafe extern "C" fn on_rebalance(
    rk: *mut rd::rd_kafka_t,
    code: rd::rd_kafka_resp_err_t,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: our opaque pointer and a list that is valid during the callback.
    let (shared, places) = unsafe { (shared_of(opaque), list::read(partitions)) };
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    let assign = code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if shared.closing.load(Ordering::Acquire) {
        // The worker has committed already and is no longer polling: give everything back at once.
        // SAFETY: the handle is valid, the list is during the callback; a null list unassigns all.
        unsafe {
            if super::consumer::is_cooperative(rk) && !assign {
                let refused = rd::rd_kafka_incremental_unassign(rk, partitions);
                if let Err(code) = take_error(refused) {
                    debug!(%code, "partitions could not be given back while closing");
                }
            } else {
                rd::rd_kafka_assign(rk, std::ptr::null());
            }
        }
        return;
    }
    *lock(&shared.rebalance) =
        Some(if assign { Rebalance::Assign(places) } else { Rebalance::Revoke(places) });
    // Let the batch call return with what it has: the worker answers the rebalance before it reads on.
    // SAFETY: the consumer queue exists for a consumer; the reference taken is given back.
    unsafe {
        let queue = rd::rd_kafka_queue_get_consumer(rk);
        if !queue.is_null() {
            rd::rd_kafka_queue_yield(queue);
            rd::rd_kafka_queue_destroy(queue);
        }
    }
}

unsafe extern "C" fn on_commit(
    _: *mut rd::rd_kafka_t,
    code: rd::rd_kafka_resp_err_t,
    offsets: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: our opaque pointer and a list that is valid during the callback.
    let (shared, offsets) = unsafe { (shared_of(opaque), list::read(offsets)) };
    lock(&shared.commits).push(CommitResult { offsets, error: check(code).err() });
}
