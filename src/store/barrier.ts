import { randomBytes, type KeyObject } from 'node:crypto'
import { createRecent } from '../core/recent.ts'
import { keepDecoded } from '../core/records.ts'
import {
  drawStamp, pathOf, shardOf, StoreIntegrity, type Change, type Entry, type Key, type Put,
  type Store
} from '../core/store.ts'
import type { Keyring, Purpose } from './keyring.ts'
import { open, seal } from './seal.ts'

const FORMAT = 1
const AES_256_GCM = 1
const BOOT_BYTES = 16
/** Format, algorithm, term, boot id. */
const HEADER_BYTES = 2 + 4 + BOOT_BYTES
/** SP 800-38D allows 2^32 random nonces for a key; a new key is drawn long before. */
const SEALS_MAX = 2 ** 30

/** The key that records of a kind are sealed with, by the first segment of their path (CRY-002). */
const PURPOSE_OF: ReadonlyMap<string, Purpose> = new Map<string, Purpose>([
  ['data', 'kv'], ['meta', 'meta'], ['token', 'token'], ['dying', 'token'], ['lease', 'lease'],
  ['cubby', 'wrap'], ['wrap', 'wrap'], ['role-id', 'approle'], ['secret', 'approle']
])

/** What a barrier is made of. */
export interface BarrierOptions {
  readonly store: Store
  readonly keyring: Keyring
  /** Told of every record that does not open: an alarm, since someone changed the store. */
  readonly onIntegrityError?: (error: StoreIntegrity) => void
  /** Seals under one key. */
  readonly sealsMax?: number
}

/**
 * A store whose values are sealed with AES-256-GCM. Each is bound to its format, cluster, key,
 * stamp, limit of uses, term and the broker start that wrote it, so that a value moved, exchanged
 * or edited does not open (CRY-010, SEC-202, SEC-204). Keys, names, due times and counts of uses
 * stay readable; none of them gives a right.
 *
 * `get` and `commit` throw StoreIntegrity for a record that does not open; `claim` leaves it out,
 * so that one bad record does not stop a sweep.
 */
export function createBarrier (parts: BarrierOptions): Store {
  const { store, keyring, onIntegrityError } = parts
  const { sealEntry, openEntry } = createSealer(keyring, parts.sealsMax ?? SEALS_MAX)

  function opened (entry: Entry): Entry {
    try {
      return openEntry(entry)
    } catch (error) {
      const failure = new StoreIntegrity(entry.key, error)
      onIntegrityError?.(failure)
      throw failure
    }
  }

  const openPresent = (entry: Entry | null) => entry === null ? null : opened(entry)
  const openAll = (entries: readonly (Entry | null)[]) => entries.map(openPresent)
  const openSound = (entry: Entry) => {
    try {
      return opened(entry)
    } catch {
      return []
    }
  }
  const sealed = (change: Change) => change.op === 'put' ? sealEntry(change) : change

  return {
    get: (keys) => store.get(keys).then(openAll),
    async commit (changes, options) {
      return (await store.commit(changes.map(sealed), options)).map(opened)
    },
    list: (prefix, page) => store.list(prefix, page),
    async claim (query) { return (await store.claim(query)).flatMap(openSound) },
    inspect: () => store.inspect(),
    close: () => store.close()
  }
}

/** Seals and opens values; holds the keys derived for this start and for the starts it met. */
function createSealer (keyring: Keyring, sealsMax: number) {
  const context = createContext(keyring.clusterId)
  const remembered = createRecent<Key, Remembered>(REMEMBERED_MAX)
  let boot = randomBytes(BOOT_BYTES)
  let seals = 0

  function keyOf (term: number, purpose: Purpose, bootId: Buffer, key: Key): KeyObject {
    const shard = shardOf(key)
    const mount = shard.startsWith('m-') ? shard : ''
    return keyring.purposeKey(term, purpose, `${mount}/${bootId.toString('latin1')}`)
  }

  function sealEntry (change: Put): Put {
    if (seals >= sealsMax) {
      boot = randomBytes(BOOT_BYTES)
      seals = 0
    }
    seals += 1
    const { key, usesMax = 0, stamp = drawStamp() } = change
    if (!(change.value instanceof Uint8Array)) throw new TypeError('a value is bytes')
    const purpose = purposeOf(key)
    const term = keyring.activeTerm(purpose)
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header[0] = FORMAT
    header[1] = AES_256_GCM
    header.writeUInt32BE(term, 2)
    header.set(boot, 6)
    const sealKey = keyOf(term, purpose, boot, key)
    const value = seal(sealKey, change.value, context(header, key, stamp, usesMax), header)
    return { ...change, value, stamp }
  }

  function openEntry ({ key, value, stamp, used, usesMax }: Entry): Entry {
    if (value.length < HEADER_BYTES || value[0] !== FORMAT || value[1] !== AES_256_GCM) {
      throw new Error('a value of an unknown format')
    }
    if (usesMax > 0 && used > usesMax) throw new Error('used more often than its limit')
    const known = remembered.get(key)
    if (known !== undefined && isSame(known, value, stamp, usesMax)) {
      keepDecoded(known.plain)
      return { key, value: known.plain, stamp, used, usesMax }
    }
    const header = Buffer.from(value.buffer, value.byteOffset, HEADER_BYTES)
    const purpose = purposeOf(key)
    const sealKey = keyOf(header.readUInt32BE(2), purpose, header.subarray(6), key)
    const plain = open(sealKey, value, context(header, key, stamp, usesMax), HEADER_BYTES)
    if (REMEMBERED.has(purpose) && value.length <= REMEMBERED_BYTES_MAX) {
      remembered.set(key, { sealed: Buffer.from(value), stamp, usesMax, plain })
    }
    return { key, value: plain, stamp, used, usesMax }
  }

  return { sealEntry, openEntry }
}

/** Records that are read again and again, and of these only short ones, in two generations of so many. */
const REMEMBERED: ReadonlySet<Purpose> = new Set(['token', 'approle', 'record'])
const REMEMBERED_MAX = 1024
const REMEMBERED_BYTES_MAX = 4096

/**
 * What some sealed bytes opened to. Every read still goes to the store; where it answers the very
 * bytes that were opened before, in the same context, opening them again can only give the same,
 * which is half the cost of a read: the bytes name their key, and a keyring's keys never change.
 */
interface Remembered {
  readonly sealed: Buffer
  readonly stamp: string
  readonly usesMax: number
  readonly plain: Buffer
}

function isSame (known: Remembered, value: Uint8Array, stamp: string, usesMax: number): boolean {
  return known.stamp === stamp && known.usesMax === usesMax && known.sealed.equals(value)
}

function purposeOf (key: Key): Purpose {
  const path = pathOf(key)
  const end = path.indexOf('/')
  return PURPOSE_OF.get(end < 0 ? path : path.slice(0, end)) ?? 'record'
}

const CONTEXT_BYTES_MAX = 16_384

/**
 * Makes what a value is bound to: cluster, header, limit, stamp and key, each of a fixed length or
 * behind its length. The bytes are valid until the next call.
 */
function createContext (clusterId: string) {
  const cluster = Buffer.from(clusterId, 'utf8')
  const scratch = Buffer.alloc(CONTEXT_BYTES_MAX)
  const headerAt = scratch.writeUInt32BE(cluster.length) + cluster.copy(scratch, 4)
  const limitAt = headerAt + HEADER_BYTES
  const stampAt = limitAt + 4
  const keyAt = stampAt + 16
  return (header: Buffer, key: Key, stamp: string, usesMax: number): Buffer => {
    header.copy(scratch, headerAt)
    scratch.writeUInt32BE(usesMax, limitAt)
    scratch.write(stamp, stampAt, 16, 'latin1')
    const end = keyAt + 4 + scratch.write(key, keyAt + 4)
    scratch.writeUInt32BE(end - keyAt - 4, keyAt)
    return scratch.subarray(0, end)
  }
}
