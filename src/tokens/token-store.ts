import { invalidRequest } from '../core/errors.ts'
import { lineageChecks, tokenKey } from '../core/lineage.ts'
import type { Token } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { StoreConflict, type Change, type Entry, type Key, type Stamp, type Store } from '../core/store.ts'
import type { TokenSigner } from '../core/token-signer.ts'
import { groupName, isAccessor, type TokenNames } from './token-names.ts'
import { isUnexpired, putTokenRecord, readTokenRecord, type TokenRecord } from './token-record.ts'

/** A live token, as its record stands. */
export interface LiveToken {
  readonly token: Token
  /** null: unlimited. 0: this was its last use. */
  readonly usesLeft: number | null
  readonly stamp: Stamp
}

/** What a new token shall be. Its lineage, names, accessor and text are made here. */
export interface NewToken extends Omit<Token, 'accessor' | 'lineage' | 'lastRenewalMs'> {
  /** null for orphans. Must be alive in the write that makes the child. */
  readonly parent: Token | null
  /** The path below its mount, under which its lease is listed: `login`. */
  readonly listedAs: string
  readonly chosenId?: string
  /** With which others it can be ended at once; see `Revocation.revokeGroup`. */
  readonly group?: string
  /** Conditions and records that shall be one step with the token, in `shard`. */
  readonly shard?: string
  readonly changes?: (made: { readonly accessor: string, readonly name: string }) => readonly Change[]
}

/** A token that was just made, with the text that is given out once. */
export interface MadeToken {
  readonly token: Token
  readonly clientToken: string
}

/**
 * Tokens: made, found, renewed.
 *
 * Being present is being alive: a token is found only if its record and those of its ancestors
 * are there and not expired, whatever its text says.
 */
export interface TokenStore {
  /**
   * Who a client token is; null for every reason not to know it. Counts a use where they are counted,
   * unless `mayUse` says no: what is refused from outside the token's addresses takes nothing away.
   */
  find (clientToken: string, nowMs: number, mayUse: (token: Token) => boolean): Promise<LiveToken | null>
  /** As `find`, without counting a use: for looking at somebody's token. */
  peek (clientToken: string, nowMs: number): Promise<LiveToken | null>
  /** The accessor and secret name (`jti`) of a token text that verifies; nothing is looked up. */
  identify (clientToken: string, nowMs: number): { readonly accessor: string, readonly name: string } | null
  findByAccessor (accessor: string, nowMs: number): Promise<LiveToken | null>
  /** @throws StoreConflict when a condition of `changes` fails or the parent has died. */
  create (request: NewToken, nowMs: number): Promise<MadeToken>
  /** Moves the expiry, by the stamp that was read. @throws StoreConflict when it was changed. */
  renew (live: LiveToken, expiresAtMs: number | null, nowMs: number): Promise<Token>
  /** Accessors of present tokens, 1,000 at a time, in no order that says anything. */
  accessors (after: string | undefined): Promise<{ accessors: string[], after: string | undefined }>
}

/** Where a chosen id leads. */
interface ChosenId {
  readonly lineage: readonly string[]
  readonly counted: boolean
}

/** Ancestors that fit into a token's text (SEC-092). */
const lineageMax = 40

export interface TokenStoreOptions {
  readonly store: Store
  readonly signer: TokenSigner
  readonly names: TokenNames
}

export function createTokenStore ({ store, signer, names }: TokenStoreOptions): TokenStore {
  /** Reads a token whose lineage is known beforehand, in one trip. */
  async function readLineage (lineage: readonly string[], nowMs: number): Promise<LiveToken | null> {
    return judge(await store.get(lineage.map(tokenKey)), nowMs)
  }

  /** Counts a use while the ancestors are read; one trip. */
  async function useLineage (lineage: readonly string[], nowMs: number): Promise<LiveToken | null> {
    const keys = lineage.map(tokenKey)
    const own = keys.pop()
    if (own === undefined) return null
    const [ancestors, used] = await Promise.all([
      keys.length === 0 ? [] : store.get(keys),
      store.commit([{ op: 'use', key: own }], { strong: true }).catch(noneOnConflict)
    ])
    return judge([...ancestors, used[0] ?? null], nowMs)
  }

  /** A token's lineage, itself last; null for what is no token of ours. */
  function trace (clientToken: string, nowMs: number): ChosenId | null | Promise<ChosenId | null> {
    return clientToken.includes('.') ? traceSigned(clientToken, nowMs) : traceChosen(clientToken)
  }

  function traceSigned (clientToken: string, nowMs: number): ChosenId | null {
    const claims = signer.verify(clientToken, nowMs)
    if (claims === null) return null
    const lineage = claims.sub.split('.')
    if (lineage.at(-1) !== names.accessorOf(claims.term, claims.jti)) return null
    return { lineage, counted: names.isCounted(claims.jti) }
  }

  async function traceChosen (clientToken: string): Promise<ChosenId | null> {
    const [index] = await store.get([names.chosenKey(clientToken)])
    return index ? decodeRecord<ChosenId>(index.value) : null
  }

  /** Makes a chosen id lead to a new token, unless it leads to one that lives; of several at once to one of them. */
  async function claimChosenId (indexKey: Key, target: ChosenId, nowMs: number): Promise<void> {
    const [present] = await store.get([indexKey])
    const former = present ? decodeRecord<ChosenId>(present.value) : null
    if (former !== null && await readLineage(former.lineage, nowMs) !== null) throw duplicateId()
    const expect = present?.stamp ?? 'absent'
    try {
      await store.commit([{ op: 'put', key: indexKey, value: encodeRecord(target), expect }], { strong: true })
    } catch (error) {
      throw error instanceof StoreConflict ? duplicateId(error) : error
    }
  }

  /** The token is there before its id leads to it: a crash between leaves a token that nobody can name. */
  async function nameByChosenId (indexKey: Key, target: ChosenId, accessor: string, nowMs: number): Promise<void> {
    try {
      await claimChosenId(indexKey, target, nowMs)
    } catch (error) {
      await store.commit([{ op: 'delete', key: tokenKey(accessor) }], { strong: true })
      throw error
    }
  }

  async function create (request: NewToken, nowMs: number): Promise<MadeToken> {
    const { parent, listedAs: _listedAs, chosenId, group: _group, shard, changes, ...terms } = request
    const { endsAtMs } = terms
    const lineage = parent === null ? [] : [...parent.lineage, parent.accessor]
    if (lineage.length >= lineageMax) throw invalidRequest(`tokens cannot be nested deeper than ${lineageMax} levels`)
    const counted = terms.usesMax > 0 && terms.kind === 'service'
    const home = parent?.accessor.slice(0, 2) ?? shard
    const name = chosenId === undefined ? names.draw({ ends: endsAtMs !== null, counted }, home) : null
    const accessor = name?.accessor ?? names.drawAccessor(home)
    const chosenKey = chosenId === undefined ? null : names.chosenKey(chosenId)
    const listed = namesOf(request, accessor)
    const record: TokenRecord = { ...terms, accessor, lineage, lastRenewalMs: null, chosenKey, names: listed }
    await store.commit([
      ...(parent === null ? [] : lineageChecks(parent)),
      ...(changes?.({ accessor, name: name?.jti ?? '' }) ?? []),
      putTokenRecord(record, 'absent')
    ], { strong: changes !== undefined })
    if (chosenKey !== null) {
      await nameByChosenId(chosenKey, { lineage: [...lineage, accessor], counted }, accessor, nowMs)
    }
    if (name === null) return { token: record, clientToken: chosenId ?? '' }
    const exp = endsAtMs === null ? {} : { exp: Math.ceil(endsAtMs / 1000) }
    const claims = { jti: name.jti, sub: [...lineage, accessor].join('.'), ...exp }
    return { token: record, clientToken: signer.sign(claims, nowMs) }
  }

  return {
    create,
    identify (clientToken, nowMs) {
      const claims = signer.verify(clientToken, nowMs)
      return claims === null ? null : { accessor: names.accessorOf(claims.term, claims.jti), name: claims.jti }
    },
    async find (clientToken, nowMs, mayUse) {
      const traced = await trace(clientToken, nowMs)
      if (traced === null) return null
      const live = await readLineage(traced.lineage, nowMs)
      if (!traced.counted) return live
      const unspent = unlessSpent(live)
      return unspent === null || !mayUse(unspent.token) ? unspent : useLineage(traced.lineage, nowMs)
    },
    async peek (clientToken, nowMs) {
      const traced = await trace(clientToken, nowMs)
      return traced === null ? null : unlessSpent(await readLineage(traced.lineage, nowMs))
    },
    async findByAccessor (accessor, nowMs) {
      if (!isAccessor(accessor)) return null
      const [entry] = await store.get([tokenKey(accessor)])
      if (!entry) return null
      return unlessSpent(await readLineage([...readTokenRecord(entry).lineage, accessor], nowMs))
    },
    async renew ({ token, stamp }, expiresAtMs, nowMs) {
      const record: TokenRecord = { ...(token as TokenRecord), expiresAtMs, lastRenewalMs: nowMs }
      const checks = token.lineage.map((accessor): Change => ({ op: 'check', key: tokenKey(accessor) }))
      await store.commit([...checks, putTokenRecord(record, stamp)])
      return record
    },
    async accessors (after) {
      const page = await store.list('token/', { limit: 1000, ...(after !== undefined && { after }) })
      const accessors = page.map((named) => named.name.slice(named.name.lastIndexOf('/') + 1))
      return { accessors, after: page.length < 1000 ? undefined : page.at(-1)?.name }
    }
  }
}

/** Where a new token is listed. */
function namesOf ({ mountAccessor, listedAs, parent, group }: NewToken, accessor: string): string[] {
  const names = [`token/${mountAccessor}/${listedAs}/${accessor}`]
  if (parent !== null) names.push(`child-of/${parent.accessor}/${accessor}`)
  if (group !== undefined) names.push(groupName(group, accessor))
  return names
}

/**
 * What the records of a lineage, the token's own last, amount to; null unless it lives. An
 * ancestor that was revoked with its children kept made orphans of them: what is above it does
 * not matter any more, and is left out of the lineage that is answered.
 */
function judge (entries: readonly (Entry | null)[], nowMs: number): LiveToken | null {
  const own = entries.at(-1) ?? null
  if (own === null) return null
  const token = readTokenRecord(own)
  if (token.kind === 'kept' || !isUnexpired(token, nowMs)) return null
  let from = -1
  for (let i = entries.length - 2; i >= 0 && from < 0; i--) {
    const entry = entries[i] ?? null
    if (entry === null) return null
    const ancestor = readTokenRecord(entry)
    if (ancestor.kind === 'kept') from = i
    else if (!isUnexpired(ancestor, nowMs)) return null
  }
  const usesLeft = token.usesMax === 0 ? null : token.usesMax - own.used
  const above = entries.length - 1
  const answered = from < 0
    ? token
    : { ...token, lineage: token.lineage.slice(from - above), orphan: token.orphan || from === above - 1 }
  return { token: answered, usesLeft, stamp: own.stamp }
}

/** A token whose last use is under way still answers itself, but to others it is gone. */
function unlessSpent (live: LiveToken | null): LiveToken | null {
  return live !== null && live.usesLeft !== null && live.usesLeft <= 0 ? null : live
}

function duplicateId (cause?: unknown) {
  return invalidRequest('cannot create a token with a duplicate ID', cause)
}

function noneOnConflict (error: unknown): Entry[] {
  if (error instanceof StoreConflict) return []
  throw error
}
