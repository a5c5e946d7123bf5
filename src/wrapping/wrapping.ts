import { invalidRequest } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { tokenKey } from '../core/lineage.ts'
import type { Mount, Token } from '../core/model.ts'
import { requestPrefix } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, type Change, type Entry, type Key, type Store } from '../core/store.ts'

/** Seals an answer under a key that is derived from a wrapping token's secret name and kept nowhere. */
export interface AnswerCipher {
  seal (name: string, accessor: string, plain: Uint8Array): Buffer
  /** @throws when it was not sealed under this name for this accessor. */
  open (name: string, accessor: string, sealed: Uint8Array): Buffer
}

/** What wrapping needs of the tokens. */
export interface WrappingTokens {
  create (request: WrappingToken, nowMs: number): Promise<{ readonly token: Token, readonly clientToken: string }>
  /** What a token's text names, if it is one of ours. */
  identify (clientToken: string, nowMs: number): { readonly accessor: string, readonly name: string } | null
  revoke (accessor: string, nowMs: number): Promise<boolean>
}

/** A token that can do nothing but open its answer. */
export type WrappingToken = Omit<Token, 'accessor' | 'lineage' | 'lastRenewalMs'> & {
  readonly parent: null
  readonly listedAs: string
  readonly shard?: string
  readonly changes: (made: { readonly accessor: string, readonly name: string }) => readonly Change[]
}

/** What is told about a wrapped answer without opening it (contract 5.10). */
export interface WrapFacts {
  readonly creationTtlSeconds: number
  readonly creationTimeMs: number
  readonly creationPath: string
}

interface WrapRecord extends WrapFacts {
  readonly mountAccessor: string
  readonly listedAs: string
  readonly wrappedAccessor: string | null
  /** The sealed answer, base64. */
  readonly sealed: string
}

interface Found {
  readonly record: WrapRecord
  readonly accessor: string
  readonly name: string
  readonly token: Entry
  readonly payload: Entry
}

const payloadKey = (accessor: string): Key => key(accessor.slice(0, 2), `wrap/${accessor}`)

/** The one answer to a wrapping token that is unknown, used, expired or no such token (contract 5.10). */
export function wrappingTokenInvalid (cause?: unknown) {
  return invalidRequest('wrapping token is not valid or does not exist', cause)
}

export interface WrappingOptions {
  readonly store: Store
  readonly tokens: WrappingTokens
  readonly cipher: AnswerCipher
}

/** Response wrapping: an answer is kept for one reader, who holds the only key (contract 5.9). */
export function createWrapping ({ store, tokens, cipher }: WrappingOptions) {
  /** Token and payload together; null unless both are there, in time and belong to each other. */
  async function find (clientToken: string, nowMs: number): Promise<Found | null> {
    const named = tokens.identify(clientToken, nowMs)
    if (named === null) return null
    const [token, payload] = await store.get([tokenKey(named.accessor), payloadKey(named.accessor)])
    if (!token || !payload) return null
    const { kind, expiresAtMs } = decodeRecord<Token>(token.value)
    if (kind !== 'wrapping' || expiresAtMs === null || nowMs >= expiresAtMs) return null
    return { ...named, record: decodeRecord<WrapRecord>(payload.value), token, payload }
  }

  async function read (clientToken: string, nowMs: number): Promise<Found> {
    const found = await find(clientToken, nowMs)
    if (found === null) throw wrappingTokenInvalid()
    return found
  }

  /** Makes a wrapping token and its payload in one step, with `conditions` in the same shard. */
  async function make (
    json: Uint8Array,
    facts: Omit<WrapRecord, 'sealed'>,
    nowMs: number,
    conditions?: { shard: string, changes: readonly Change[] }
  ) {
    const expiresAtMs = nowMs + facts.creationTtlSeconds * 1000
    const { token, clientToken } = await tokens.create({
      parent: null,
      kind: 'wrapping',
      path: facts.creationPath,
      listedAs: facts.listedAs,
      mountAccessor: facts.mountAccessor,
      displayName: '',
      policies: ['response-wrapping'],
      metadata: null,
      issuedAtMs: nowMs,
      expiresAtMs,
      endsAtMs: expiresAtMs,
      creationTtlSeconds: facts.creationTtlSeconds,
      explicitMaxTtlSeconds: facts.creationTtlSeconds,
      periodSeconds: 0,
      renewable: false,
      usesMax: 1,
      boundCidrs: [],
      orphan: true,
      role: null,
      renewal: null,
      ...(conditions !== undefined && { shard: conditions.shard }),
      changes: ({ accessor, name }) => [...conditions?.changes ?? [], {
        op: 'put',
        key: payloadKey(accessor),
        value: encodeRecord({ ...facts, sealed: cipher.seal(name, accessor, json).toString('base64') }),
        names: [`held-by/${accessor}/wrap`],
        expect: 'absent'
      }]
    }, nowMs)
    return { wrapInfo: wrapInfo(token.accessor, clientToken, facts), accessor: token.accessor }
  }

  return {
    /** Keeps an answer's JSON. `withdraw` takes it back when the token is never given out. */
    async wrap (answer: {
      readonly json: string
      readonly ttlSeconds: number
      readonly creationPath: string
      readonly mount: Mount
      readonly wrappedAccessor: string | null
      readonly nowMs: number
    }) {
      const { mount, nowMs, creationPath } = answer
      const { wrapInfo, accessor } = await make(Buffer.from(answer.json, 'utf8'), {
        creationTtlSeconds: answer.ttlSeconds,
        creationTimeMs: nowMs,
        creationPath,
        mountAccessor: mount.accessor,
        listedAs: creationPath.slice(requestPrefix(mount).length),
        wrappedAccessor: answer.wrappedAccessor
      }, nowMs)
      return { wrapInfo, withdraw: async () => { await tokens.revoke(accessor, nowMs) } }
    },

    /** Facts of a wrapped answer, which stays wrapped. @throws BrokerError */
    async lookUp (clientToken: string, nowMs: number): Promise<WrapFacts> {
      return (await read(clientToken, nowMs)).record
    },

    /**
     * Gives out the answer and forgets it, in this order: token and payload are taken in one step,
     * so of any number of readers one gets it, and a crash after that step loses it (FLT-005).
     */
    async unwrap (clientToken: string, nowMs: number): Promise<string> {
      const { token, payload, record, name, accessor } = await read(clientToken, nowMs)
      try {
        await store.commit([{ op: 'take', key: token.key }, { op: 'take', key: payload.key }], { strong: true })
      } catch (error) {
        if (error instanceof StoreConflict) throw wrappingTokenInvalid(error)
        throw error
      }
      return cipher.open(name, accessor, Buffer.from(record.sealed, 'base64')).toString('utf8')
    },

    /** Moves an answer to a new token, in one step with the end of the old one. */
    async rewrap (clientToken: string, nowMs: number): Promise<JsonObject> {
      const { token, payload, record, name, accessor } = await read(clientToken, nowMs)
      const { sealed, ...facts } = record
      const json = cipher.open(name, accessor, Buffer.from(sealed, 'base64'))
      try {
        const made = await make(json, { ...facts, creationTimeMs: nowMs }, nowMs, {
          shard: accessor.slice(0, 2),
          changes: [
            { op: 'delete', key: token.key, expect: token.stamp },
            { op: 'delete', key: payload.key, expect: payload.stamp }
          ]
        })
        return made.wrapInfo
      } catch (error) {
        if (error instanceof StoreConflict) throw wrappingTokenInvalid(error)
        throw error
      }
    }
  }
}

export type Wrapping = ReturnType<typeof createWrapping>

function wrapInfo (accessor: string, clientToken: string, facts: Omit<WrapRecord, 'sealed'>): JsonObject {
  return {
    token: clientToken,
    accessor,
    ttl: facts.creationTtlSeconds,
    creation_time: new Date(facts.creationTimeMs).toISOString(),
    creation_path: facts.creationPath,
    ...(facts.wrappedAccessor !== null && { wrapped_accessor: facts.wrappedAccessor })
  }
}
