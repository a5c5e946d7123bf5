import {
  drawStamp, StoreConflict, StoreUnknown, type Change, type Entry, type Key, type Put, type Stamp
} from '../core/store.ts'
import { decodeRecord, encodeRecord } from './redis-record.ts'
import { REASONS } from './redis-scripts.ts'
import { prefixOf } from './redis-tags.ts'
import { indexKey } from './redis-list.ts'

/** What `COMMIT` is called with, and what a put in it can be told by. */
export interface EncodedCommit {
  readonly keys: readonly string[]
  readonly values: readonly (string | Buffer)[]
  readonly written: { readonly key: Key, readonly stamp: Stamp } | null
}

/** Puts a checked commit into the form of the script. */
export function encodeCommit (shard: string, changes: readonly Change[]): EncodedCommit {
  const prefix = prefixOf(shard)
  const keys = [indexKey(shard), `${prefix}d`, `${prefix}q`]
  const values: (string | Buffer)[] = []
  let written: EncodedCommit['written'] = null
  for (const change of changes) {
    keys.push(prefix + change.key)
    values.push(conditionOf(change))
    if (change.op !== 'put') continue
    const stamp = change.stamp ?? drawStamp()
    values.push(encodeRecord(change, stamp), String(change.dueAtMs ?? ''))
    written = { key: change.key, stamp }
  }
  return { keys, values, written }
}

/**
 * Reads the answer of `COMMIT`.
 *
 * @throws StoreConflict as the script says; StoreUnknown when it says something else.
 */
export function decodeCommit (changes: readonly Change[], reply: unknown): Entry[] {
  if (!Array.isArray(reply)) throw new StoreUnknown(new Error('Redis answered no list'))
  const [isDone, ...rest] = reply as unknown[]
  if (isDone !== 1) throw decodeConflict(changes, rest)
  const met = changes.filter(answersRecord)
  return rest.map((record, at) => decodeRecord(met[at]?.key ?? '', record))
}

/** Tells the changes whose record a commit answers. */
export function answersRecord ({ op }: Change): boolean {
  return op === 'take' || op === 'use'
}

/**
 * Tells a commit that makes something new and removes nothing: what is refused while memory runs
 * out, so that revoking and renewing go on (FLT-038).
 */
export function onlyCreates (changes: readonly Change[]): boolean {
  const replaces = (expect: Put['expect']) => expect !== undefined && expect !== 'absent'
  return changes.some((change) => change.op === 'put' && !replaces(change.expect)) &&
    !changes.some(({ op }) => op === 'delete' || op === 'take')
}

function conditionOf (change: Change): string | Buffer {
  switch (change.op) {
    case 'put': return condition('p', change.expect)
    case 'check': return condition('c', change.expect ?? 'present')
    case 'delete': return condition('d', change.expect)
    case 'take': return 't+'
    default: return change.by === -1 ? 'g+' : 'u+'
  }
}

function condition (letter: string, expect: Put['expect']): string | Buffer {
  if (expect === undefined) return letter
  if (expect === 'present') return `${letter}+`
  if (expect === 'absent') return `${letter}-`
  const bytes = Buffer.allocUnsafe(9)
  bytes.write(letter, 0, 'latin1')
  bytes.write(expect, 1, 'hex')
  return bytes
}

function decodeConflict (changes: readonly Change[], [index, reason]: readonly unknown[]): Error {
  const change = typeof index === 'number' ? changes[index] : undefined
  const name = typeof reason === 'number' ? REASONS[reason] : undefined
  if (typeof index !== 'number' || change === undefined || name === undefined) {
    return new StoreUnknown(new Error('Redis answered something else'))
  }
  return new StoreConflict(index, change.key, name)
}
