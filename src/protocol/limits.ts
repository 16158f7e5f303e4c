/**
 * Every fixed limit of the product, by name. What an operator may change is in config.ts, whose defaults point here.
 * A limit that is crossed is a refusal that names it; nothing is clamped silently (PROTOCOL sections 1 and 3).
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const LIMITS = {
  // HTTP bodies and parameters
  bodyBytes: 256 * KIB,
  /** How long a request body may take to arrive (→ 408). */
  bodyArrivalMs: 30 * SECOND_MS,
  /** Of a body that is too large so much is still read, and for so long, that its sender is there to see the 413. */
  swallowedBodyBytes: 8 * MIB,
  swallowedBodyMs: 2 * SECOND_MS,
  /** Nesting of a JSON body or frame. */
  jsonDepth: 64,
  /** Faults that one answer names: a body full of them must not grow into a larger answer. */
  fieldErrors: 100,
  metadataPairs: 16,
  metadataKeyChars: 64,
  metadataValueChars: 512,
  laneChars: 64,
  typeChars: 64,
  roomChars: 128,
  idempotencyKeyChars: 255,
  correlationIdChars: 128,
  tokenChars: 8 * KIB,
  waitMs: 60 * SECOND_MS,
  eventsPage: 1000,
  eventsPageDefault: 500,
  /** A page ends early once it holds this much. */
  eventsPageBytes: 8 * MIB,
  jobsPage: 200,
  jobsPageDefault: 50,
  sseCommentMs: 15 * SECOND_MS,

  // Jobs
  timeoutMs: DAY_MS,
  timeoutDefaultMs: 10 * MINUTE_MS,
  maxAttempts: 25,
  maxAttemptsDefault: 3,
  /** How long a handler's own check of an input may take. */
  checkMs: 10 * SECOND_MS,
  /** How far ahead a job may be put off. */
  delayMs: 366 * DAY_MS,
  priorityDefault: 5,
  priorityMost: 9,
  orphanDefaultMs: 30 * SECOND_MS,
  attempts: 65_535,
  /** Entries of one log: the sequence number's share of a packed row id (sqlite driver). */
  jobEvents: 4_000_000,
  /** The terminal entry of a job that a restore ended: behind everything that a run can reach. */
  restoredSeq: 2 ** 22 - 1,
  deltaBytes: 64 * KIB,
  /** Least time between two progress reports of one run in its log. */
  progressMs: 100,
  sampleRate: 384_000,
  channels: 32,
  /** How long text may gather before it is logged as one entry. */
  rollupMs: SECOND_MS,
  rollupDefaultMs: 20,
  /** What a run that waits for somebody else's server gives it to begin, and to go on. */
  upstreamFirstOutputMs: MINUTE_MS,
  upstreamIdleMs: 30 * SECOND_MS,
  /** Longest answer of an operator's endpoint. */
  answerBytes: 64 * MIB,
  jobBytes: 64 * MIB,
  /** What one run may have waiting to be stored, when its handler does not wait for its writes. */
  unwrittenBytes: 16 * MIB,
  /** Calls of an isolated handler that may be on their way to the server. */
  isolatedCalls: 8192,
  /** Its lines for the log that may be; what comes faster is left out, and counted. */
  isolatedLines: 1000,
  /** An event loop that was held longer is worth a line in the log. */
  blockedMs: SECOND_MS,
  /** An audio file up to this size is answered whole, with its length; a longer one is streamed. */
  wholeFileBytes: MIB,
  webhookUrlChars: 2048,
  /** How long the acknowledgement of a result may be waited for before its webhook is sent. */
  webhookAfterMs: 7 * DAY_MS,
  /** From one attempt of a webhook to the next (Standard Webhooks, "Deliverability and reliability"): 3 days in all. */
  webhookScheduleMs: [
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
  ],
  /** Longest wait that a receiver is granted when it asks for one (`Retry-After`). */
  webhookRetryAfterMs: DAY_MS,
  /** How long a receiver may take to answer, and how long an attempt may take before it counts as lost. */
  webhookAnswerMs: 15 * SECOND_MS,
  webhookLeaseMs: MINUTE_MS,
  /** Attempts of one node at the same time. */
  webhookAttempts: 32,
  cancelGraceMs: 10 * SECOND_MS,
  /** How long the thread of an isolated handler may take to end by itself after its run was stopped. */
  isolateGraceMs: SECOND_MS,
  leaseMs: 30 * SECOND_MS,
  leaseRenewMs: 10 * SECOND_MS,
  maxLostLeases: 5,
  /** Waits before the end of a run is given again to a storage that did not take it. */
  endRetryMs: 250,
  endRetryMostMs: 5 * SECOND_MS,
  /** How long a worker that took a lease may be unheard of before the lease goes back for free. */
  leaseUnheardMs: 5 * SECOND_MS,
  /** How many runs of a job may have cost nothing before a worker that is not heard of costs a lost lease. */
  freeLeases: 5,
  retryBaseMs: SECOND_MS,
  retryMostMs: MINUTE_MS,
  /** How far the steady time that is kept for the next process may lie behind the last command. */
  steadyStepMs: 5 * SECOND_MS,
  /** How long a node of several still answers after it said that it is leaving: proxies look in this time. */
  leavingMs: 3 * SECOND_MS,
  /** Waits before the run after the n-th lost lease; the last entry repeats. The run begins between once and twice that. */
  lostLeaseDelaysMs: [0, 0, 1000, 2000, 4000, 5000],

  // Sockets
  frameBytes: 64 * KIB,
  eventBytes: MIB,
  queueBytes: MIB,
  foldedBytes: 64 * KIB,
  rooms: 64,
  attachments: 256,
  welcomeJobs: 100,
  /** Frames that may wait while an earlier one of the same socket is being answered. */
  inboxFrames: 512,
  malformedPerMinute: 10,
  frameIdChars: 128,
  /** How long a reader, of a socket or of a stream over HTTP, may take nothing of what waits for it. */
  stalledMs: 30 * SECOND_MS,
  /** Messages of one room that may be kept. */
  roomHistory: 1000,
  /** Members up to which a room is told who is in it; beyond, how many. */
  presenceMembers: 1000,
  /** Changes in a room within this time are told together: as many ms as it has members, within these bounds. */
  presenceBatchLeastMs: 100,
  presenceBatchMostMs: SECOND_MS,
  /** Connections being opened at a time (credential, session, welcome), those in line behind them, and for how long. */
  opening: 64,
  openingWaiting: 8192,
  openingWaitMs: 8 * SECOND_MS,
  /** What those who found no place are told to wait, drawn between these. */
  overloadedLeastMs: SECOND_MS,
  overloadedMostMs: 5 * SECOND_MS,
  /** Requests that may wait while the server starts, and for how long: no longer than a client waits for a handshake. */
  startWaiting: 1000,
  startWaitMs: 8 * SECOND_MS,

  // Reading logs
  replayPageEvents: 128,
  replayPageBytes: 256 * KIB,
  /** Pages being read at a time, and how long of one turn of the event loop they may take together. */
  logReads: 4,
  logReadSliceMs: 0.25,

  // Several nodes
  /** How often a node that is not alone looks for what it was not told: as late as that an event may be. */
  lookMs: 2 * SECOND_MS,
  /** Jobs, or sessions, of one read of such a look. */
  lookJobs: 500,
  /** How long after its id was made a job may be committed; so long it is looked for. */
  newJobMs: MINUTE_MS,
  /** Jobs of that age that a connection knows not to be new to it; what is older than those it forgot is taken for known. */
  knownJobs: 4096,

  /** For how long a node that reads a log is told of it unless it says so again, which it does with every look. */
  readingMs: 6 * SECOND_MS,
  /** How long a run has lasted when a node says that it reads its log: short ones are not worth it. */
  readingAfterMs: 20,
  /** How long every node is told of the entries of a run that has begun, since nobody can have said that it reads them. */
  youngRunMs: 100,
  /** Jobs of which it is remembered who reads them; beyond, every node is told of every entry. */
  readJobs: 100_000,
  /** Jobs whose last entries are remembered for who begins to read them in that moment. */
  grownJobs: 10_000,

  /** Sessions that a look asks for at a time, and how soon one that could not be finished is begun again. */
  lookSessions: 100,
  lookAgainMs: SECOND_MS,
  /** Least time between two looks at all members of rooms, and how many times as long as a look the time after it is. */
  roomsLookMs: 30 * SECOND_MS,
  roomsLookRest: 100,
  /** Messages of a room that wait until their speakers, of whom this node has not heard, were looked up. */
  heldMessages: 1000,

  // Workers
  workerNameChars: 128,
  workerTypes: 100,
  workerWaitMs: 30 * SECOND_MS,
  /** Jobs of one answer, and leases of one heartbeat. */
  workerJobs: 100,
  heartbeatLeases: 1000,
  /** One audio chunk as a worker sends it; a log has it in entries of `deltaBytes`. */
  audioChunkBytes: MIB,
  /** One line of a worker's output; base64 and escapes make it larger than what it says. */
  lineBytes: 4 * MIB,
  progressMessageChars: 1000,
  jobErrorCodeChars: 64,
  jobErrorMessageChars: 2000,
  /** Workers that are shown to operators, and for how long after they were last heard. */
  workersSeen: 1000,
  workerSeenMs: 10 * MINUTE_MS,

  // Time
  pingMs: 25 * SECOND_MS,
  pingTimeoutMs: 10 * SECOND_MS,
  resumeMs: 5 * MINUTE_MS,
  presenceGraceMs: 5 * SECOND_MS,
  sessionTokenMs: 15 * MINUTE_MS,
  drainMs: 30 * SECOND_MS,

  // Credentials
  userIdChars: 255,
  /** Difference of clocks that is forgiven between us and the identity provider (RFC 7519 section 4.1.4). */
  clockLeewayMs: 10 * SECOND_MS,
  /** Longest life of a user token: a revocation is kept as long. */
  userTokenLifeMs: 366 * DAY_MS,
  /** How often revocations are read while nobody can be relied on to tell of new ones. */
  revocationPollMs: SECOND_MS,
  /** How long a socket outlives the user token it was opened with, so that `refresh` can still save it. */
  userTokenGraceMs: 10 * SECOND_MS,

  // Per user and per node
  userSessions: 20,
  userJobs: 1000,
  queueJobs: 100_000,
  ratePerMinute: 6000,
  tokenRatePerMinute: 60_000,
  /** Sessions that were used lately and are remembered: for a moment, and while their store is out of reach. */
  rememberedSessions: 20_000,
  /** Users, and addresses, whose rate is remembered at a time. */
  rateKeys: 100_000,
  framesPerMinute: 600,
  concurrency: 1000,

  // Between nodes
  /** Signals of one turn that go in one message, unless a single one is longer. */
  backplaneMessageBytes: MIB,
  /** What may be on its way to Redis unanswered; more is given up. */
  backplaneUnsentBytes: 16 * MIB,
  /** How often a node is heard at least, for how long it may not be, and how old a message may be. */
  backplaneBeatMs: SECOND_MS,
  backplaneSilentMs: 3 * SECOND_MS,
  backplaneLateMs: 5 * SECOND_MS,
  /** Least time between two looks at everything because signals were lost. */
  backplaneLostMs: SECOND_MS,

  // Disk: on one smaller than 512 MiB the first two are an eighth of the whole at most (sqlite/disk.ts)
  /** With less free than this no new jobs are accepted. */
  diskLowBytes: 64 * MIB,
  /** Kept in reserve, and let go when the disk is full: more than a write-ahead log that has to be written back. */
  ballastBytes: 16 * MIB,
  /** To this the write-ahead log is cut back; larger it is told of, and above the last no new jobs are accepted. */
  walKeptBytes: 16 * MIB,
  walAlarmBytes: 64 * MIB,
  walMostBytes: 256 * MIB,

  // Nodes
  /** How often a node of several gives a sign of life, and after which silence the others bury it. */
  nodeBeatMs: 2 * SECOND_MS,
  nodeSilentMs: 10 * SECOND_MS,
  /** How long who found a silent node has to give back what it held, before the next one does. */
  nodeBurialMs: 10 * SECOND_MS,
  /** A node of several that the database has not answered for so long takes nothing more, and sends its clients away. */
  nodeCutOffMs: 5 * SECOND_MS,
  /** How long the dead are listed. */
  nodeDeadKeptMs: 60 * MINUTE_MS,

  // Retention
  eventsRetentionMs: DAY_MS,
  jobsRetentionMs: 7 * DAY_MS,
  idempotencyRetentionMs: DAY_MS,
} as const;
