import { randomBytes } from 'node:crypto'

/**
 * `<shard>:<path>`, for example `4f:token/9aX`. Shards: 256 numbered ones, one for each mount
 * (`m-<accessor>`), `sys`.
 */
export type Key = string

/**
 * Eight random bytes as 16 hexadecimal characters, drawn by the writer of a record; equal stamps
 * mean the same write.
 */
export type Stamp = string

/** A condition on a record: this very write, any record, or none. */
export type Expect = Stamp | 'present' | 'absent'

/** A record as it was read. */
export interface Entry {
  readonly key: Key
  readonly value: Uint8Array
  readonly stamp: Stamp
  /** Uses so far. `put` keeps it while the record is present, only `use` moves it. */
  readonly used: number
  /** The limit of `use`; 0 stands for none. */
  readonly usesMax: number
}

/**
 * Writes a whole record: what it does not name (`dueAtMs`, `names`, `usesMax`) is gone afterwards;
 * `used` stays.
 */
export interface Put {
  readonly op: 'put'
  readonly key: Key
  readonly value: Uint8Array
  readonly expect?: Expect
  /** The stamp of this write, for a writer that names it later; else the store draws one. */
  readonly stamp?: Stamp
  /** When `claim` shall hand it out, epoch ms. Absent: never. Being due deletes nothing. */
  readonly dueAtMs?: number
  /** At most 4 names `list` finds it by, `/`-separated. They replace the former ones. */
  readonly names?: readonly string[]
  /** Limit for `use`, 1 to 2^31 - 1. Also inside the sealed value; a reader compares the two. */
  readonly usesMax?: number
}

/** Tests a record and leaves it as it is; without `expect` it has to be present. */
export interface Check { readonly op: 'check', readonly key: Key, readonly expect?: Expect }

/** Removes a record and its names; without `expect` an absent record is no conflict. */
export interface Delete { readonly op: 'delete', readonly key: Key, readonly expect?: Expect }

/** A delete that fails on absence and returns the record. */
export interface Take { readonly op: 'take', readonly key: Key }

/**
 * Counts a use and returns the record with the new count; fails on absence and when spent. -1 gives
 * a use back, never below 0.
 */
export interface Use { readonly op: 'use', readonly key: Key, readonly by?: 1 | -1 }

/** One step of a commit. */
export type Change = Put | Check | Delete | Take | Use

/** What of a list to answer. */
export interface Page {
  /** Go on after this name, as an earlier page gave it. */
  readonly after?: string
  /** 1 to 1000. */
  readonly limit: number
  /** Cut names at their next `/`: each folder comes once, ends in `/` and has no key. */
  readonly folders?: boolean
  /** One shard. Absent: the 256 numbered ones together, neither `sys` nor the mounts. */
  readonly shard?: string
}

/** Which due records to take; `holdMs` is longer than what is done with them takes. */
export interface Claim {
  readonly nowMs: number
  readonly limit: number
  readonly holdMs: number
}

/** A name below the prefix of a list, without that prefix; `key` is null for a folder. */
export interface Named { readonly name: string, readonly key: Key | null }

/** What a store says about itself. */
export interface StoreReport {
  readonly kind: 'memory' | 'sqlite' | 'redis'
  /** Changes when the store's process is another one. */
  readonly runId: string
  /** The store's time less this process's `performance.now()`, milliseconds. */
  readonly clockOffsetMs: number
  /** Commits so far, by groups of shards; a number that went back means lost writes. */
  readonly sequences: ReadonlyMap<string, number>
  /**
   * Settings that put data at risk, each a public sentence: strict mode refuses to serve,
   * development warns.
   */
  readonly problems: readonly string[]
}

/** Durable bytes by key. A store forgets nothing by itself: no expiry, no eviction. */
export interface Store {
  /**
   * Reads up to 500 records in one trip, any shards, in the order asked; null where absent.
   * @throws StoreUnavailable, StoreIntegrity
   */
  get (keys: readonly Key[]): Promise<(Entry | null)[]>
  /**
   * Applies 1 to 256 changes, 1 MiB together, of one shard, a key once: all conditions are tested,
   * then all is written, or nothing. Answers the entries that `take` and `use` met, in the order of
   * the changes. `strong`: a lost write would fail open (a revocation, a use, a lease's intent).
   * @throws StoreConflict for a failed condition, StoreUnknown when the reply was lost,
   * StoreUnavailable when nothing was done, BrokerError `invalid_request` for more than 1 MiB
   */
  commit (changes: readonly Change[], options?: { readonly strong?: boolean }): Promise<Entry[]>
  /**
   * Lists names below `prefix`, which is empty or ends in `/`, sorted as bytes. Equal names of
   * several records may be cut by the end of a page.
   * @throws StoreUnavailable, BrokerError `invalid_request` for an `after` that can be no name
   */
  list (prefix: string, page: Page): Promise<Named[]>
  /**
   * Takes records due at `nowMs` and makes them due again `holdMs` later, in one step: no two
   * brokers get the same one. At most `limit` of them, 1 to 1000.
   * @throws StoreUnavailable, StoreIntegrity
   */
  claim (query: Claim): Promise<Entry[]>
  /** Reads the store's time and settings. At start, after a reconnect, every 10 s. */
  inspect (): Promise<StoreReport>
  /** Lets writes under way end, then lets go of the store. */
  close (): Promise<void>
}

/** Why a condition of a commit failed. */
export type ConflictReason = 'absent' | 'present' | 'changed' | 'spent'

/** A condition of a commit did not hold; nothing was written. */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict'
  /** Position of the failed change in the commit. */
  readonly index: number
  readonly key: Key
  readonly reason: ConflictReason

  constructor (index: number, key: Key, reason: ConflictReason) {
    super('the record was changed by someone else')
    this.index = index
    this.key = key
    this.reason = reason
  }
}

/** The store did not do it: not reached, full, or not writable. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable'

  constructor (message = 'the store is not available', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
  }
}

/**
 * The reply was lost: the commit happened or not. Never send a `use` or `take` again; a put may be
 * told by its stamp.
 */
export class StoreUnknown extends StoreUnavailable {
  override readonly name = 'StoreUnknown'

  constructor (cause?: unknown) {
    super('the store did not answer whether the write was done', cause)
  }
}

/** A record is not as the broker wrote it (contract SEC-202, SEC-204). Its value is never shown. */
export class StoreIntegrity extends Error {
  override readonly name = 'StoreIntegrity'
  readonly key: Key

  constructor (key: Key, cause?: unknown) {
    super('integrity error', cause === undefined ? undefined : { cause })
    this.key = key
  }
}

/** The shard of mounts, policies, keyring and epoch. */
export const SYS = 'sys'

/** The 256 numbered shards, `00` to `ff`. */
export const SHARDS: readonly string[] = Array.from({ length: 256 },
  (_, n) => n.toString(16).padStart(2, '0'))

const NUMBERED = new Set(SHARDS)
const SHARD = /^(?:[0-9a-f]{2}|sys|m-[0-9A-Za-z_-]{1,128})$/
const KEY_LENGTH_MAX = 4096

/** The shard of a mount. */
export function mountShard (accessor: string): string {
  return `m-${accessor}`
}

/** Tells whether two characters, say of a token, name a numbered shard. */
export function isNumberedShard (text: string): boolean {
  return NUMBERED.has(text)
}

/** Joins a shard and a path. RangeError for a shard of another form and where `isPath` refuses. */
export function key (shard: string, path: string): Key {
  if (!SHARD.test(shard)) throw new RangeError('not a shard')
  if (!isPath(path)) throw new RangeError('not a path of the store')
  return `${shard}:${path}`
}

/** The shard of a key; RangeError when it names none. */
export function shardOf (key: Key): string {
  const end = key.indexOf(':')
  if (end < 2) throw new RangeError('not a key of the store')
  return key.slice(0, end)
}

/** The path of a key. */
export function pathOf (key: Key): string {
  return key.slice(key.indexOf(':') + 1)
}

/** Tells whether a text may be a path or name: 1 to 4096 characters, whole code points, no NUL. */
export function isPath (text: string): boolean {
  return text.length > 0 && text.length <= KEY_LENGTH_MAX &&
    !text.includes('\0') && text.isWellFormed()
}

const POOL_BYTES = 4096
let pool: Buffer = Buffer.alloc(0)
let poolUsed = 0

function fromPool (bytes: number): string {
  if (poolUsed + bytes > pool.length) {
    pool = randomBytes(POOL_BYTES)
    poolUsed = 0
  }
  poolUsed += bytes
  return pool.toString('hex', poolUsed - bytes, poolUsed)
}

/** Draws the stamp of a write. */
export function drawStamp (): Stamp {
  return fromPool(8)
}

/** Draws a numbered shard for a record that is free to choose. */
export function drawShard (): string {
  return fromPool(1)
}
