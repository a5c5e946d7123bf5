import { createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto'
import { lengthPrefixed, open, seal } from './seal.ts'

const KEY_BYTES = 32
const DERIVED_MAX = 10_000

/** What a key is for; no key serves two purposes (CRY-002). */
export const PURPOSES = [
  'kv', 'meta', 'token', 'approle', 'lease', 'wrap', 'jwt', 'mountname', 'audit', 'backup', 'opid',
  'record'
] as const
export type Purpose = typeof PURPOSES[number]

/** `published` opens and verifies, `active` also seals and signs, `retired` opens what is left. */
export type TermState = 'published' | 'active' | 'retired' | 'destroyed'

/** One generation of keys, as the keyring's record holds it inside its seal. */
export interface Term {
  readonly number: number
  readonly createdAtMs: number
  /** 32 bytes in base64; empty once it is destroyed for all purposes. */
  readonly key: string
  readonly states: Readonly<Record<Purpose, TermState>>
}

/** Keys by purpose. Raw bytes never leave it: a caller gets key objects (CRY-004). */
export interface Keyring {
  readonly clusterId: string
  /** The term that seals and signs for a purpose. */
  activeTerm (purpose: Purpose): number
  /** Terms whose keys for a purpose may still open and verify, newest first. */
  terms (purpose: Purpose): readonly number[]
  /**
   * The key of 32 bytes for a purpose in a term; `info` divides a purpose further, say by mount.
   * The same arguments answer the same object.
   *
   * @throws RangeError for a term that is unknown or destroyed.
   */
  purposeKey (term: number, purpose: Purpose, info?: string): KeyObject
}

/** The first term of a new keyring, active for every purpose. */
export function firstTerm (nowMs: number): Term {
  const key = randomBytes(KEY_BYTES)
  const states = Object.fromEntries(PURPOSES.map((purpose) => [purpose, 'active']))
  const term = { number: 1, createdAtMs: nowMs, key: key.toString('base64'), states }
  key.fill(0)
  return parseTerm(term)
}

/** Seals the terms under the root key for one cluster. */
export function sealTerms (rootKey: KeyObject, clusterId: string, terms: readonly Term[]): Buffer {
  const plain = Buffer.from(JSON.stringify(terms))
  const sealed = seal(rootKey, plain, contextOf(clusterId))
  plain.fill(0)
  return sealed
}

/** Opens what `sealTerms` made. @throws Error when anything differs or has another form. */
export function openTerms (rootKey: KeyObject, clusterId: string, sealed: Uint8Array): Term[] {
  const plain = open(rootKey, sealed, contextOf(clusterId))
  const terms: unknown = JSON.parse(plain.toString('utf8'))
  plain.fill(0)
  if (!Array.isArray(terms) || terms.length === 0) throw new Error('the keyring has no terms')
  return terms.map(parseTerm)
}

/** Makes a keyring of terms. */
export function createKeyring (clusterId: string, terms: readonly Term[]): Keyring {
  const salt = Buffer.from(clusterId, 'utf8')
  const roots = new Map<number, KeyObject>()
  for (const { number, key } of terms) if (key !== '') roots.set(number, secretOf(key))
  const states = new Map(terms.map((term) => [term.number, term.states]))
  const newest = terms.map((term) => term.number).sort((a, b) => b - a)
  const derived = new Map<string, KeyObject>()
  const active = new Map(PURPOSES.map((purpose) => [
    purpose, newest.find((number) => states.get(number)?.[purpose] === 'active')
  ]))

  function derive (term: number, purpose: Purpose, info: string): KeyObject {
    const root = roots.get(term)
    const state = states.get(term)?.[purpose]
    if (root === undefined || state === undefined || state === 'destroyed') {
      throw new RangeError('a key of an unknown term')
    }
    const label = lengthPrefixed(['latchkey/v1', purpose, info])
    const bytes = Buffer.from(hkdfSync('sha256', root, salt, label, KEY_BYTES))
    const key = createSecretKey(bytes)
    bytes.fill(0)
    return key
  }

  return {
    clusterId,
    activeTerm (purpose) {
      const term = active.get(purpose)
      if (term === undefined) throw new RangeError(`no active key for ${purpose}`)
      return term
    },
    terms (purpose) {
      return newest.filter((number) => states.get(number)?.[purpose] !== 'destroyed')
    },
    purposeKey (term, purpose, info = '') {
      const name = `${term}/${purpose}/${info}`
      const known = derived.get(name)
      if (known !== undefined) return known
      if (derived.size >= DERIVED_MAX) derived.clear()
      const key = derive(term, purpose, info)
      derived.set(name, key)
      return key
    }
  }
}

function contextOf (clusterId: string): Buffer {
  return lengthPrefixed(['latchkey/keyring/v1', clusterId])
}

function secretOf (base64: string): KeyObject {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== KEY_BYTES) throw new Error('a key of the keyring has another size')
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

function parseTerm (term: unknown): Term {
  const { number, createdAtMs, key, states } = term as Term
  const isTerm = Number.isSafeInteger(number) && Number.isSafeInteger(createdAtMs) &&
    typeof key === 'string' && PURPOSES.every((purpose) => STATES.has(states[purpose]))
  if (!isTerm) throw new Error('the keyring has a term of another form')
  return { number, createdAtMs, key, states }
}

const STATES: ReadonlySet<string> = new Set(['published', 'active', 'retired', 'destroyed'])
