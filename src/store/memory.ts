import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import {
  drawStamp, StoreConflict, StoreUnavailable, type Change, type Entry, type Key, type Stamp,
  type Store
} from '../core/store.ts'
import { checkChanges, checkClaim, checkKeys, checkPage } from './checks.ts'
import { conflictOf } from './conditions.ts'
import { compareBytes, fillPage, isListed, type Indexed } from './listing.ts'

interface Record {
  readonly value: Uint8Array
  readonly stamp: Stamp
  readonly usesMax: number
  readonly names: readonly string[]
  used: number
  dueAtMs: number | null
}

/** A store in memory, for tests: all is gone with the process, and a list reads all records. */
export function createMemoryStore (): Store {
  const records = new Map<Key, Record>()
  const runId = randomUUID()
  let commits = 0
  let open = true

  function checkOpen () {
    if (!open) throw new StoreUnavailable('the store is closed')
  }

  function entry (key: Key, record: Record): Entry {
    const { value, stamp, used, usesMax } = record
    return { key, value: Uint8Array.from(value), stamp, used, usesMax }
  }

  function apply (change: Change, met: Entry[]) {
    const { key } = change
    const record = records.get(key)
    if (change.op === 'put') {
      records.set(key, {
        value: Uint8Array.from(change.value),
        stamp: change.stamp ?? drawStamp(),
        used: record?.used ?? 0,
        usesMax: change.usesMax ?? 0,
        names: [...new Set(change.names)],
        dueAtMs: change.dueAtMs ?? null
      })
    } else if (change.op === 'delete') {
      records.delete(key)
    } else if (change.op === 'take' && record !== undefined) {
      records.delete(key)
      met.push(entry(key, record))
    } else if (change.op === 'use' && record !== undefined) {
      record.used = Math.max(0, record.used + (change.by ?? 1))
      met.push(entry(key, record))
    }
  }

  return {
    async get (keys) {
      checkKeys(keys)
      checkOpen()
      return keys.map((key) => {
        const record = records.get(key)
        return record === undefined ? null : entry(key, record)
      })
    },

    async commit (changes) {
      checkChanges(changes)
      checkOpen()
      for (const [index, change] of changes.entries()) {
        const reason = conflictOf(change, records.get(change.key) ?? null)
        if (reason !== null) throw new StoreConflict(index, change.key, reason)
      }
      const met: Entry[] = []
      for (const change of changes) apply(change, met)
      commits += 1
      return met
    },

    async list (prefix, page) {
      checkPage(prefix, page)
      checkOpen()
      const index: Indexed[] = []
      for (const [key, { names }] of records) {
        if (!isListed(key, page.shard)) continue
        for (const name of names) if (name.startsWith(prefix)) index.push({ name, key })
      }
      index.sort((a, b) => compareBytes(a.name, b.name) || compareBytes(a.key, b.key))
      return fillPage(prefix, page, async (from, limit) => {
        return index.filter(({ name }) => compareBytes(name, from) >= 0).slice(0, limit)
      })
    },

    async claim (query) {
      checkClaim(query)
      checkOpen()
      const due: { key: Key, record: Record, dueAtMs: number }[] = []
      for (const [key, record] of records) {
        const { dueAtMs } = record
        if (dueAtMs !== null && dueAtMs <= query.nowMs) due.push({ key, record, dueAtMs })
      }
      due.sort((a, b) => a.dueAtMs - b.dueAtMs)
      return due.slice(0, query.limit).map(({ key, record }) => {
        record.dueAtMs = query.nowMs + query.holdMs
        return entry(key, record)
      })
    },

    async inspect () {
      checkOpen()
      return {
        kind: 'memory',
        runId,
        clockOffsetMs: Date.now() - performance.now(),
        sequences: new Map([['', commits]]),
        problems: ['the store is in memory and forgets everything when the process ends']
      }
    },

    async close () { open = false }
  }
}
