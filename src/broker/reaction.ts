import { isJsonObject, type JsonObject } from '../core/json.ts'
import type { Token } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, type Change, type Entry, type Store } from '../core/store.ts'

/** Whom a tripwire caught, and what is to end. */
export interface Culprit {
  /** The own request path of the mount whose former name was used. */
  readonly mount: string
  readonly tokenAccessor: string
  /** The secret_id that its login used, and the mount of that login; null: only the token ends. */
  readonly lineage: { readonly secretIdAccessor: string, readonly mountAccessor: string } | null
}

/** What is still to be done about a culprit. */
interface Sentence extends Culprit {
  /** The last name of the mount's tokens that was looked at; absent: nothing was done yet. */
  readonly after?: string
}

export interface ReactionOptions {
  readonly store: Store
  readonly nudge: () => void
  readonly revokeToken: (accessor: string, nowMs: number) => Promise<boolean>
  /** Removes a secret_id, so that nobody logs in with it again. */
  readonly endSecretId: (accessor: string) => Promise<void>
  /** Has what is done about a use of a mount's former name audited; without the entry nothing is done. */
  readonly journal: (mount: string, data: JsonObject, run: () => Promise<JsonObject>) => Promise<void>
}

/** Tokens that one turn looks at: the sweep has other things to do between the turns. */
const pageLimit = 500

/** The secret_id that a token's own login used; null where that is not known. */
export function secretIdOf (token: Pick<Token, 'renewal'>): string | null {
  return kept(token, 'secretIdAccessor')
}

/** The role that a token's own login was for; null where that is not known. */
export function roleOf (token: Pick<Token, 'renewal'>): string | null {
  return kept(token, 'role')
}

/** What an auth method left in the token's record, which no client writes. */
function kept ({ renewal }: Pick<Token, 'renewal'>, name: string): string | null {
  const value = isJsonObject(renewal) ? renewal[name] : null
  return typeof value === 'string' ? value : null
}

/**
 * Ends tokens, and secret_ids with all tokens that came of them. It is written down first and done
 * by the sweep, a bounded number of tokens at a turn, so that neither a crash nor a repeat leaves half
 * of it and nothing else waits for all of it.
 */
export function createReaction ({ store, nudge, revokeToken, endSecretId, journal }: ReactionOptions) {
  /**
   * Ends tokens of a secret_id; answers where to go on, or null. A login's token is made in the
   * shard of its secret_id, so only that part of the mount's tokens is looked at.
   */
  async function endTokens (
    { secretIdAccessor, mountAccessor }: NonNullable<Culprit['lineage']>, after: string | undefined, nowMs: number
  ): Promise<string | null> {
    const shard = secretIdAccessor.slice(0, 2)
    const page = await store.list(`token/${mountAccessor}/`, { shard, limit: pageLimit, ...(after !== undefined && { after }) })
    const entries = page.length === 0 ? [] : await store.get(page.flatMap((named) => named.key ?? []))
    for (const entry of entries) {
      if (entry === null) continue
      const token = decodeRecord<Token>(entry.value)
      if (secretIdOf(token) === secretIdAccessor) await revokeToken(token.accessor, nowMs)
    }
    return page.length < pageLimit ? null : page.at(-1)?.name ?? null
  }

  /** The secret_id goes first: a login that is under way needs it in the commit that makes its token. */
  async function begin ({ tokenAccessor, lineage }: Culprit, nowMs: number): Promise<void> {
    if (lineage !== null) await endSecretId(lineage.secretIdAccessor)
    await revokeToken(tokenAccessor, nowMs)
  }

  async function take ({ key, stamp, value }: Entry, nowMs: number): Promise<void> {
    const sentence = decodeRecord<Sentence>(value)
    const { mount, tokenAccessor, lineage, after } = sentence
    const data = { accessor: tokenAccessor, ...(lineage !== null && { secret_id_accessor: lineage.secretIdAccessor }) }
    if (after === undefined) {
      await journal(mount, data, async () => {
        await begin(sentence, nowMs)
        return {}
      })
    }
    const next = lineage === null ? null : await endTokens(lineage, after, nowMs)
    const rest: Change = next === null
      ? { op: 'delete', key, expect: stamp }
      : { op: 'put', key, expect: stamp, value: encodeRecord({ ...sentence, after: next }), dueAtMs: nowMs }
    await store.commit([rest]).catch((error: unknown) => {
      // It was written down anew meanwhile, and comes due again.
      if (!(error instanceof StoreConflict)) throw error
    })
    if (next !== null) nudge()
  }

  return {
    /** Writes down what shall end; it has ended soon after. */
    async queue (culprit: Culprit, nowMs: number): Promise<void> {
      const { tokenAccessor, lineage } = culprit
      const path = lineage === null ? tokenAccessor : `${tokenAccessor}/${lineage.secretIdAccessor}`
      await store.commit([{
        op: 'put',
        key: key(tokenAccessor.slice(0, 2), `tripwire/${path}`),
        value: encodeRecord(culprit),
        dueAtMs: nowMs
      }], { strong: true })
      nudge()
    },
    /** The sweeper's handler. */
    async finish (entries: readonly Entry[], nowMs: number): Promise<void> {
      for (const entry of entries) await take(entry, nowMs)
    }
  }
}

export type Reaction = ReturnType<typeof createReaction>
