import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import {
  StoreConflict, StoreIntegrity, StoreUnavailable, StoreUnknown, type Claim, type Entry, type Store
} from '../core/store.ts'
import { checkChanges, checkClaim, checkKeys, checkPage } from './checks.ts'
import { fillPage, indexOf } from './listing.ts'
import {
  errorCode, openSqliteFile, SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_IOERR
} from './sqlite-file.ts'
import { createSqliteTables } from './sqlite-tables.ts'

/** Changes in one transaction: it bounds how long the event loop is held. */
const TRANSACTION_CHANGES_MAX = 2000
/** How long one try for a lock holds the event loop, and how long a write goes on trying. */
const BUSY_TRY_MS = 25
const BUSY_WAIT_MS = 1000

interface Job {
  /** How many changes it makes. */
  readonly weight: number
  readonly queuedAtMs: number
  run (): Entry[]
  resolve (entries: Entry[]): void
  reject (error: unknown): void
}

/** A store in one SQLite file, for one broker. */
export interface SqliteStore extends Store {
  /**
   * Reads the whole file for damage, in a thread of its own, and answers what it found, nothing for
   * a sound file. To be called once, after serving began; reads are faster afterwards.
   */
  check (): Promise<string[]>
}

/**
 * Opens the file at `location`, which it creates when it is missing. Every commit of two turns of
 * the event loop shares a transaction, and no answer goes out before that is on disk.
 *
 * @throws Error in plain words where `openSqliteFile` refuses.
 */
export function openSqliteStore ({ location }: { readonly location: string }): SqliteStore {
  const file = openSqliteFile(location, BUSY_TRY_MS)
  const { db } = file
  const tables = createSqliteTables(db)
  const runId = randomUUID()
  let queue: Job[] = []
  let scheduled = false
  let refusal: string | null = null

  function enqueue (weight: number, run: () => Entry[]): Promise<Entry[]> {
    if (refusal !== null) return Promise.reject(new StoreUnavailable(refusal))
    return new Promise((resolve, reject) => {
      queue.push({ weight, queuedAtMs: performance.now(), run, resolve, reject })
      if (scheduled) return
      scheduled = true
      setImmediate(gather)
    })
  }

  /**
   * Lets one more turn of the event loop pass: with many clients it doubles what a sync of the disk
   * is shared by, since those who were answered by the last one are on their way back; a single
   * client does not wait for it.
   */
  function gather () {
    setImmediate(flush)
  }

  /** Writes what is queued, at most one transaction; what is left waits for the next turn. */
  function flush () {
    scheduled = false
    const batch = nextBatch()
    if (batch.length === 0) return
    const answers: (() => void)[] = []
    try {
      tables.begin()
    } catch (error) {
      return errorCode(error) === SQLITE_BUSY ? wait(batch, error) : fail(batch, error)
    }
    try {
      for (const job of batch) answers.push(runJob(job))
    } catch (error) {
      tables.rollback()
      return fail(batch, error)
    }
    try {
      tables.commit()
    } catch (error) {
      return failCommit(batch, error)
    }
    for (const answer of answers) answer()
    again()
  }

  function nextBatch (): Job[] {
    let weight = 0
    let count = 0
    for (const job of queue) {
      if (count > 0 && weight + job.weight > TRANSACTION_CHANGES_MAX) break
      weight += job.weight
      count += 1
    }
    const batch = queue.slice(0, count)
    queue = queue.slice(count)
    return batch
  }

  function again () {
    if (queue.length === 0 || scheduled) return
    scheduled = true
    setImmediate(flush)
  }

  function fail (batch: readonly Job[], error: unknown) {
    if (errorCode(error) === SQLITE_IOERR || errorCode(error) === SQLITE_CORRUPT) {
      refusal = 'the store failed and needs a restart'
    }
    for (const job of batch) job.reject(new StoreUnavailable(undefined, error))
    again()
  }

  /**
   * What a failed commit left behind is not known: after an error of fsync the pages may be gone
   * while a second try reports success. So nothing is written to this file again (FLT-049).
   */
  function failCommit (batch: readonly Job[], error: unknown) {
    refusal = 'the store failed and needs a restart'
    for (const job of batch) job.reject(new StoreUnknown(error))
    for (const job of queue.splice(0)) job.reject(new StoreUnavailable(refusal))
  }

  function wait (batch: readonly Job[], error: unknown) {
    const nowMs = performance.now()
    const late = batch.filter((job) => nowMs - job.queuedAtMs > BUSY_WAIT_MS)
    queue = [...batch.filter((job) => nowMs - job.queuedAtMs <= BUSY_WAIT_MS), ...queue]
    for (const job of late) job.reject(new StoreUnavailable(undefined, error))
    if (queue.length === 0) return
    scheduled = true
    setTimeout(flush, BUSY_TRY_MS)
  }

  return {
    async get (keys) {
      checkKeys(keys)
      return read(() => keys.map((key) => tables.find(key)))
    },

    async commit (changes) {
      checkChanges(changes)
      return enqueue(changes.length, () => tables.apply(changes))
    },

    async list (prefix, page) {
      checkPage(prefix, page)
      const index = indexOf(page.shard ?? '00')
      const within = index === '' ? page.shard : undefined
      return fillPage(prefix, page, async (from, limit) => {
        return read(() => tables.names({ index, within, prefix, from, limit }))
      })
    },

    async claim (query: Claim) {
      checkClaim(query)
      return enqueue(query.limit, () => tables.claim(query))
    },

    async inspect () {
      const clockOffsetMs = Date.now() - performance.now()
      return { kind: 'sqlite', runId, clockOffsetMs, sequences: new Map(), problems: [] }
    },

    async check () {
      const found = await quickCheck(location)
      if (refusal === null) db.exec('pragma locking_mode = exclusive')
      return found
    },

    async close () {
      refusal = 'the store is closed'
      for (flush(); queue.length > 0; flush()) await delay(BUSY_TRY_MS)
      if (db.isOpen) file.close()
    }
  }

  function read<T> (look: () => T): T {
    if (!db.isOpen) throw new StoreUnavailable('the store is closed')
    try {
      return look()
    } catch (error) {
      if (error instanceof StoreIntegrity) throw error
      throw new StoreUnavailable(undefined, error)
    }
  }
}

/** Runs one job of a transaction; a conflict is its own answer and leaves nothing behind. */
function runJob (job: Job): () => void {
  try {
    const entries = job.run()
    return () => job.resolve(entries)
  } catch (error) {
    const isAnswer = error instanceof StoreConflict || error instanceof StoreIntegrity
    if (!isAnswer) throw error
    return () => job.reject(error)
  }
}

async function quickCheck (location: string): Promise<string[]> {
  const worker = new Worker(new URL('./sqlite-check.ts', import.meta.url), { workerData: location })
  const [found] = await once(worker, 'message') as [string[]]
  return found
}
