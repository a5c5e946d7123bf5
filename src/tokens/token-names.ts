import { drawShard, drawTokenName, handleFromMac, handleIn } from '../core/ids.ts'
import { createRecent } from '../core/recent.ts'
import { isNumberedShard, key, type Key } from '../core/store.ts'

/** HMAC-SHA256 under the token key of a keyring term. */
export type TokenMac = (term: number, text: string) => Buffer

/** How a token's life is bounded, written into its signed name so that the first trip can be the right one. */
export interface NameKind {
  /** The token has a hard end. */
  readonly ends: boolean
  /** Its uses are counted, so that finding it is using it. */
  readonly counted: boolean
}

const letterOf = (kind: NameKind) => kind.counted ? (kind.ends ? 'c' : 'k') : (kind.ends ? 'e' : 'p')

/**
 * The names of tokens. A `jti` is two characters of shard, one of kind, 43 random ones; its
 * accessor is derived by an HMAC, so that neither leads back to the other and no index of
 * accessors is needed (SEC-077). A key that leaks signs nothing useful without knowing a `jti`.
 */
export interface TokenNames {
  /** A new name in a shard, or in one drawn at random. */
  draw (kind: NameKind, shard?: string): { readonly jti: string, readonly accessor: string }
  accessorOf (term: number, jti: string): string
  isCounted (jti: string): boolean
  /** A new accessor for a token with a chosen id: each life of the id has its own. */
  drawAccessor (shard?: string): string
  /** Where a chosen id leads from; the id itself is stored nowhere. */
  chosenKey (id: string): Key
}

/** Accessors that are kept, in each of two generations, since each request of a token derives its own. */
const derivedMax = 4096
/** The first term, under which chosen ids are found: they carry no term of their own. */
const chosenTerm = 1

export function createTokenNames ({ mac, term }: { mac: TokenMac, term: () => number }): TokenNames {
  const derived = createRecent<string, { readonly term: number, readonly accessor: string }>(derivedMax)

  function accessorOf (term: number, jti: string): string {
    const known = derived.get(jti)
    if (known?.term === term) return known.accessor
    const accessor = handleFromMac(jti.slice(0, 2), mac(term, `jti ${jti}`))
    derived.set(jti, { term, accessor })
    return accessor
  }

  return {
    accessorOf,
    draw (kind, shard = drawShard()) {
      const jti = shard + letterOf(kind) + drawTokenName()
      return { jti, accessor: accessorOf(term(), jti) }
    },
    isCounted: (jti) => jti[2] === 'c' || jti[2] === 'k',
    drawAccessor: (shard = drawShard()) => handleIn(shard),
    chosenKey (id) {
      const digest = mac(chosenTerm, `id ${id}`)
      const shard = digest.toString('hex', 31)
      return key(shard, `chosen/${handleFromMac(shard, digest)}`)
    }
  }
}

/** Where the tokens of a group are listed. */
export function groupName (group: string, accessor = ''): string {
  return `token-group/${group}/${accessor}`
}

/** Whether a text has the shape of an accessor, so that it may be made into a key. */
export function isAccessor (text: string): boolean {
  return /^[0-9A-Za-z]{24}$/.test(text) && isNumberedShard(text.slice(0, 2))
}
