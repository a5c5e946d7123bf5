import type { DatabaseSync } from 'node:sqlite'
import {
  drawStamp, shardOf, StoreConflict, StoreIntegrity, type Change, type Claim, type Entry,
  type Key, type Put
} from '../core/store.ts'
import { conflictOf, type Met } from './conditions.ts'
import { indexOf, type Indexed } from './listing.ts'
import { prepare, type Row } from './sqlite-statement.ts'

const NEVER = -1

/** What the writes of a commit need to know of a record, all of it read before the first write. */
interface Header extends Met {
  readonly names: readonly string[]
  /** The whole record, for a change that answers it. */
  readonly entry: Entry | null
}

/** A part of an index: names from `from` that begin with `prefix`, of one numbered shard or all. */
export interface Range {
  readonly index: string
  readonly within: string | undefined
  readonly prefix: string
  readonly from: string
  readonly limit: number
}

/** The statements on the two tables, all synchronous; writes need an open transaction. */
export function createSqliteTables (db: DatabaseSync) {
  const begin = prepare(db, 'begin immediate')
  const commit = prepare(db, 'commit')
  const rollback = prepare(db, 'rollback')
  const select = prepare(db, 'select stamp, used, uses_max, value from record where key = ?')
  const selectHeader = prepare(db, 'select stamp, used, uses_max, names from record where key = ?')
  const put = prepare(db, `insert into record (key, stamp, used, uses_max, due, names, value)
    values (?, ?, 0, ?, ?, ?, ?)
    on conflict (key) do update set stamp = excluded.stamp, uses_max = excluded.uses_max,
    due = excluded.due, names = excluded.names, value = excluded.value`)
  const remove = prepare(db, 'delete from record where key = ?')
  const use = prepare(db, 'update record set used = max(0, used + ?) where key = ?')
  const addName = prepare(db, 'insert into name (list, name, key) values (?, ?, ?)')
  const removeName = prepare(db, 'delete from name where list = ? and name = ? and key = ?')
  const selectNames = prepare(db, `select name, key from name
    where list = ? and name >= ? and name < ? order by name, key limit ?`)
  const selectNamesWithin = prepare(db, `select name, key from name
    where list = ? and name >= ? and name < ? and key >= ? and key < ? order by name, key limit ?`)
  const selectDue = prepare(db, `select key from record
    where due >= 0 and due <= ? order by due limit ?`)
  const setDue = prepare(db, 'update record set due = ? where key = ?')

  function header ({ op, key }: Change): Header | null {
    const row = selectHeader.get(key)
    if (row === undefined) return null
    const entry = op === 'take' || op === 'use' ? find(key) : null
    return { ...readMet(key, row), names: parseNames(key, row[3]), entry }
  }

  function find (key: Key): Entry | null {
    const row = select.get(key)
    if (row === undefined) return null
    const { stamp, used, usesMax } = readMet(key, row)
    const value = row[3]
    if (!(value instanceof Uint8Array)) throw new StoreIntegrity(key)
    return { key, value, stamp, used, usesMax }
  }

  function writePut (change: Put, met: Header | null) {
    const { key, value, dueAtMs, usesMax } = change
    const names = change.names === undefined ? [] : [...new Set(change.names)]
    const list = names.length === 0 ? '' : JSON.stringify(names)
    put.run(key, change.stamp ?? drawStamp(), usesMax ?? 0, dueAtMs ?? NEVER, list, value)
    replaceNames(key, met?.names ?? [], names)
  }

  function replaceNames (key: Key, former: readonly string[], names: readonly string[]) {
    const index = indexOf(shardOf(key))
    for (const name of former) if (!names.includes(name)) removeName.run(index, name, key)
    for (const name of names) if (!former.includes(name)) addName.run(index, name, key)
  }

  function write (change: Change, met: Header | null, entries: Entry[]) {
    const { key } = change
    if (change.op === 'put') return writePut(change, met)
    if (met === null || change.op === 'check') return
    if (change.op === 'use') {
      const by = change.by ?? 1
      use.run(by, key)
      if (met.entry !== null) entries.push({ ...met.entry, used: Math.max(0, met.used + by) })
      return
    }
    if (met.entry !== null) entries.push(met.entry)
    remove.run(key)
    replaceNames(key, met.names, [])
  }

  return {
    begin: () => begin.run(),
    commit: () => commit.run(),
    rollback: () => { if (db.isTransaction) rollback.run() },
    find,

    /** Tests all conditions, then writes all. @throws StoreConflict before anything was written. */
    apply (changes: readonly Change[]): Entry[] {
      const headers: (Header | null)[] = []
      for (const [index, change] of changes.entries()) {
        const met = header(change)
        const reason = conflictOf(change, met)
        if (reason !== null) throw new StoreConflict(index, change.key, reason)
        headers.push(met)
      }
      const entries: Entry[] = []
      for (const [index, change] of changes.entries()) {
        write(change, headers[index] ?? null, entries)
      }
      return entries
    },

    names ({ index, within, prefix, from, limit }: Range): Indexed[] {
      const end = prefix === '' ? AFTER_ALL_TEXT : `${prefix.slice(0, -1)}0`
      const rows = within === undefined
        ? selectNames.all(index, from, end, limit)
        : selectNamesWithin.all(index, from, end, `${within}:`, `${within};`, limit)
      return rows.map(([name, key]) => ({ name: String(name), key: String(key) }))
    },

    claim ({ nowMs, limit, holdMs }: Claim): Entry[] {
      return selectDue.all(nowMs, limit).flatMap((row) => {
        const key = String(row[0])
        setDue.run(nowMs + holdMs, key)
        return find(key) ?? []
      })
    }
  }
}

/** In SQLite every text sorts before every blob. */
const AFTER_ALL_TEXT = new Uint8Array(0)

/** Reads the first columns of a record: its stamp, its uses so far, their limit. */
function readMet (key: Key, [stamp, used, usesMax]: Row): Met {
  if (typeof stamp !== 'string' || typeof used !== 'number' || typeof usesMax !== 'number') {
    throw new StoreIntegrity(key)
  }
  return { stamp, used, usesMax }
}

function parseNames (key: Key, list: unknown): string[] {
  if (list === '') return []
  try {
    return JSON.parse(String(list)) as string[]
  } catch (error) {
    throw new StoreIntegrity(key, error)
  }
}
