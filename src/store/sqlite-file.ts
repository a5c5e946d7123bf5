import {
  closeSync, constants, existsSync, fstatSync, lstatSync, mkdirSync, openSync
} from 'node:fs'
import path from 'node:path'
import { constants as sqlite, DatabaseSync } from 'node:sqlite'

/** Marks a file as a store of this program: "Ltch" as a number. */
const APPLICATION_ID = 0x4c746368
const SCHEMA_VERSION = 1

const SCHEMA = `
  create table record (
    key text primary key not null,
    stamp text not null check (length(stamp) = 16),
    used integer not null check (used between 0 and 2147483647),
    uses_max integer not null check (uses_max between 0 and 2147483647),
    due integer not null check (due between -1 and 9007199254740991),
    names text not null,
    value blob not null
  ) strict, without rowid;
  create index record_due on record (due) where due >= 0;
  create table name (
    list text not null,
    name text not null,
    key text not null,
    primary key (list, name, key)
  ) strict, without rowid;`

/** Settings and what each of them reads back as, which is checked: a setting may be ignored. */
const SETTINGS: readonly (readonly [pragma: string, set: string, readBack: string | number])[] = [
  ['journal_mode', 'wal', 'wal'],
  ['synchronous', 'full', 2],
  ['secure_delete', 'on', 1],
  ['trusted_schema', 'off', 0],
  ['cell_size_check', 'on', 1],
  ['temp_store', 'memory', 2],
  ['cache_size', '-16384', -16384]
]

/** An opened file: its connection, and the lock that keeps a second broker away. */
export interface SqliteFile {
  readonly db: DatabaseSync
  close (): void
}

/**
 * Opens or creates the file at `location`, mode 0600 in a folder of mode 0700, for this process
 * alone.
 *
 * @throws Error in plain words when another broker has it open, when file or folder is readable by
 * others or a symbolic link, or when it is no store of ours.
 */
export function openSqliteFile (location: string, busyTimeoutMs: number): SqliteFile {
  prepareFolder(path.dirname(location))
  const lock = lockFile(location)
  try {
    createPrivate(location)
    const db = new DatabaseSync(location, {
      timeout: busyTimeoutMs,
      defensive: true,
      allowExtension: false,
      enableDoubleQuotedStringLiterals: false
    })
    try {
      db.setAuthorizer(authorize)
      claimFile(db, location)
      applySettings(db)
    } catch (error) {
      db.close()
      throw error
    }
    return {
      db,
      close () {
        db.close()
        lock.close()
      }
    }
  } catch (error) {
    lock.close()
    if (errorCode(error) !== SQLITE_NOTADB) throw error
    throw new Error(`${location} is not a store of this broker`, { cause: error })
  }
}

export const SQLITE_BUSY = 5
export const SQLITE_IOERR = 10
export const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

/** The primary result code of an error of SQLite (sqlite.org/rescode.html), or 0. */
export function errorCode (error: unknown): number {
  if (!(error instanceof Error) || !('errcode' in error)) return 0
  return typeof error.errcode === 'number' ? error.errcode & 0xff : 0
}

function authorize (action: number): number {
  const attaches = action === sqlite.SQLITE_ATTACH || action === sqlite.SQLITE_DETACH
  return attaches ? sqlite.SQLITE_DENY : sqlite.SQLITE_OK
}

function prepareFolder (folder: string): void {
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { mode } = lstatSync(folder)
  if ((mode & 0o077) !== 0) {
    throw new Error(`${folder} may be read or changed by others: run chmod 700 on it`)
  }
}

/** Makes an empty file that only its owner may read, or checks the one that is there. */
function createPrivate (location: string): void {
  let descriptor: number
  try {
    const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
    descriptor = openSync(location, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
  } catch (error) {
    const rule = 'it has to be a file of its own, not a symbolic link'
    throw new Error(`${location} cannot be opened: ${rule}`, { cause: error })
  }
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new Error(`${location} is not a file`)
    if ((stats.mode & 0o077) !== 0) {
      throw new Error(`${location} may be read or changed by others: run chmod 600 on it`)
    }
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Holds an exclusive lock on a small database beside the store for as long as this process lives;
 * the system lets go of it however the process ends. The store itself stays open to a reader of
 * this process.
 */
function lockFile (location: string): DatabaseSync {
  const beside = `${location}.lock`
  createPrivate(beside)
  const lock = new DatabaseSync(beside, { timeout: 0, allowExtension: false })
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive')
    return lock
  } catch (error) {
    lock.close()
    if (errorCode(error) !== SQLITE_BUSY) throw error
    const advice = 'a file serves one broker, use Redis for several'
    throw new Error(`another broker has ${location} open: ${advice}`, { cause: error })
  }
}

function claimFile (db: DatabaseSync, location: string): void {
  const application = pragma(db, 'application_id')
  const version = pragma(db, 'user_version')
  if (application === APPLICATION_ID && version === SCHEMA_VERSION) return
  const tables = db.prepare('select count(*) as n from sqlite_schema').get()?.['n']
  if (application === APPLICATION_ID) {
    throw new Error(`${location} was written by another version of this broker (schema ${version})`)
  }
  if (application !== 0 || tables !== 0) {
    throw new Error(`${location} belongs to another application`)
  }
  db.exec(`begin immediate; pragma application_id = ${APPLICATION_ID};
    pragma user_version = ${SCHEMA_VERSION}; ${SCHEMA}; commit`)
}

function applySettings (db: DatabaseSync): void {
  for (const [name, value, expected] of SETTINGS) {
    db.exec(`pragma ${name} = ${value}`)
    if (pragma(db, name) !== expected) throw new Error(`SQLite does not accept ${name} = ${value}`)
  }
}

function pragma (db: DatabaseSync, name: string): unknown {
  const row = db.prepare(`pragma ${name}`).get()
  return row === undefined ? undefined : Object.values(row)[0]
}
