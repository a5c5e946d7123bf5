import { isJsonObject } from '../core/json.ts'
import type { Token } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, type Entry, type Store } from '../core/store.ts'

/** Whom a tripwire caught, and what is to end. */
export interface Culprit {
  readonly tokenAccessor: string
  /** The secret_id that its login used, and the mount of that login; null: only the token ends. */
  readonly lineage: { readonly secretIdAccessor: string, readonly mountAccessor: string } | null
}

export interface ReactionOptions {
  readonly store: Store
  readonly nudge: () => void
  readonly revokeToken: (accessor: string, nowMs: number) => Promise<boolean>
  /** Removes a secret_id, so that nobody logs in with it again. */
  readonly endSecretId: (accessor: string) => Promise<void>
}

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
 * by the sweep, so that neither a crash nor a repeat leaves half of it.
 */
export function createReaction ({ store, nudge, revokeToken, endSecretId }: ReactionOptions) {
  /** The secret_id goes first: a login that is under way needs it in the commit that makes its token. */
  async function endLineage ({ secretIdAccessor, mountAccessor }: NonNullable<Culprit['lineage']>, nowMs: number): Promise<void> {
    await endSecretId(secretIdAccessor)
    for (let after: string | undefined; ;) {
      const page = await store.list(`token/${mountAccessor}/`, { limit: pageLimit, ...(after !== undefined && { after }) })
      const entries = await store.get(page.flatMap((named) => named.key ?? []))
      for (const entry of entries) {
        if (entry === null) continue
        const token = decodeRecord<Token>(entry.value)
        if (secretIdOf(token) === secretIdAccessor) await revokeToken(token.accessor, nowMs)
      }
      after = page.at(-1)?.name
      if (page.length < pageLimit) return
    }
  }

  return {
    /** Writes down what shall end; it has ended soon after. */
    async queue (culprit: Culprit, nowMs: number): Promise<void> {
      const { tokenAccessor } = culprit
      await store.commit([{
        op: 'put',
        key: key(tokenAccessor.slice(0, 2), `tripwire/${tokenAccessor}`),
        value: encodeRecord(culprit),
        dueAtMs: nowMs
      }], { strong: true })
      nudge()
    },
    /** The sweeper's handler. */
    async finish (entries: readonly Entry[], nowMs: number): Promise<void> {
      for (const entry of entries) {
        const { tokenAccessor, lineage } = decodeRecord<Culprit>(entry.value)
        await revokeToken(tokenAccessor, nowMs)
        if (lineage !== null) await endLineage(lineage, nowMs)
        await store.commit([{ op: 'delete', key: entry.key, expect: entry.stamp }]).catch((error: unknown) => {
          // It was written down anew meanwhile, and comes due again.
          if (!(error instanceof StoreConflict)) throw error
        })
      }
    }
  }
}

export type Reaction = ReturnType<typeof createReaction>
