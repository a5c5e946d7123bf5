import { invalidRequest } from '../core/errors.ts'
import {
  isPath, shardOf, type Change, type Claim, type Expect, type Key, type Page, type Put
} from '../core/store.ts'

const CHANGES_MAX = 256
/** 1 MiB of a caller's bytes, and what sealing adds to each of the changes. */
const COMMIT_BYTES_MAX = 1_048_576 + CHANGES_MAX * 64
const GET_MAX = 500
const PAGE_MAX = 1000
const NAMES_MAX = 4
const USES_MAX = 2 ** 31 - 1
const STAMP = /^[0-9a-f]{16}$/

/**
 * Refuses what must not reach a store: anything but well-formed keys, whatever a caller's types
 * promised (SEC-355, SEC-378). A TypeError or RangeError here is a mistake of the program; a
 * BrokerError is about what only the store can judge of a request.
 */
export function checkKeys (keys: readonly Key[]): void {
  if (keys.length > GET_MAX) throw new RangeError(`a read takes at most ${GET_MAX} keys`)
  for (const key of keys) checkKey(key)
}

/**
 * Checks every change of a commit and answers the shard that all of them are in.
 *
 * @throws BrokerError `invalid_request` where it is too large: only that is in a caller's hand.
 */
export function checkChanges (changes: readonly Change[]): string {
  const [first] = changes
  if (first === undefined || changes.length > CHANGES_MAX) {
    throw new RangeError(`a commit has 1 to ${CHANGES_MAX} changes`)
  }
  checkKey(first.key)
  const shard = shardOf(first.key)
  let bytes = 0
  for (const change of changes) {
    checkKey(change.key)
    if (shardOf(change.key) !== shard) throw new RangeError('a commit has one shard')
    bytes += checkChange(change)
  }
  if (bytes > COMMIT_BYTES_MAX) throw invalidRequest('the data are too large: what is stored together holds at most 1 MiB')
  if (changes.length > 1 && new Set(changes.map((change) => change.key)).size < changes.length) {
    throw new RangeError('a commit names a key once')
  }
  return shard
}

/** Checks a list's arguments. @throws BrokerError `invalid_request` for `after`, which callers choose. */
export function checkPage (prefix: string, page: Page): void {
  if (typeof prefix !== 'string' || (prefix !== '' && !(isPath(prefix) && prefix.endsWith('/')))) {
    throw new RangeError('a prefix is empty or ends in /')
  }
  if (page.after !== undefined && !(typeof page.after === 'string' && isPath(page.after))) {
    throw invalidRequest('"after" is not a name to go on after')
  }
  if (page.shard !== undefined) checkKey(`${page.shard}:x`)
  checkCount(page.limit)
}

/** Checks the arguments of a claim. */
export function checkClaim ({ nowMs, limit, holdMs }: Claim): void {
  if (!isTime(nowMs) || !isTime(holdMs) || holdMs === 0) throw new RangeError('not a time')
  checkCount(limit)
}

function checkCount (limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX) {
    throw new RangeError(`a page has 1 to ${PAGE_MAX} entries`)
  }
}

function checkKey (key: unknown): void {
  if (typeof key !== 'string' || !isPath(key)) throw new RangeError('not a key of the store')
  shardOf(key)
}

function checkChange (change: Change): number {
  switch (change.op) {
    case 'put': return checkPut(change)
    case 'check':
    case 'delete': checkExpect(change.expect); return 0
    case 'take': return 0
    case 'use':
      if (change.by !== undefined && change.by !== 1 && change.by !== -1) {
        throw new RangeError('a use counts 1 or -1')
      }
      return 0
    default: throw new TypeError('not a change')
  }
}

function checkPut ({ value, expect, stamp, dueAtMs, names, usesMax }: Put): number {
  if (!(value instanceof Uint8Array)) throw new TypeError('a value is bytes')
  checkExpect(expect)
  if (stamp !== undefined) checkStamp(stamp)
  if (dueAtMs !== undefined && !isTime(dueAtMs)) throw new RangeError('not a time')
  if (usesMax !== undefined && !isUses(usesMax)) throw new RangeError('not a number of uses')
  if (names !== undefined) checkNames(names)
  return value.length
}

function checkNames (names: readonly string[]): void {
  if (!Array.isArray(names) || names.length > NAMES_MAX) {
    throw new RangeError(`a record has at most ${NAMES_MAX} names`)
  }
  for (const name of names) {
    const isName = typeof name === 'string' && isPath(name) && !name.endsWith('/')
    if (!isName) throw new RangeError('not a name')
  }
}

function checkExpect (expect: Expect | undefined): void {
  if (expect !== undefined && expect !== 'present' && expect !== 'absent') checkStamp(expect)
}

function checkStamp (stamp: unknown): void {
  if (typeof stamp !== 'string' || !STAMP.test(stamp)) throw new TypeError('not a stamp')
}

function isUses (count: unknown): boolean {
  return typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= USES_MAX
}

/** Whole milliseconds up to the year 287396: exact in every store. */
function isTime (ms: unknown): boolean {
  return typeof ms === 'number' && Number.isSafeInteger(ms) && ms >= 0
}
