import { hash, randomBytes } from 'node:crypto'
import type { Mount, PastName } from '../core/model.ts'
import { derivedLength } from '../core/name-form.ts'
import { deriveName, type NameMac } from './rotation.ts'

/** A retired name that somebody used. */
export interface Tripped {
  readonly mount: Mount
  readonly slot: number
  readonly replacedAtMs: number
  /** Whether its end is in the record; else its grace is over by this broker's clock at most. */
  readonly isWritten: boolean
}

/** Recognises former names of all mounts, the last ones, when they do not answer. It holds their hashes with a secret of this process, and no name. */
export interface Tripwire {
  /** Follows the table; what was known before is not derived again. */
  follow (mounts: Iterable<Mount>): void
  /** The former name that a path begins with, where nothing was found at it; null: none. */
  find (path: string): Tripped | null
}

/** A mount with its former names and what they are recognised by; null for one whose key was destroyed. */
interface Watched {
  mount: Mount
  readonly names: readonly PastName[]
  readonly digests: readonly (string | null)[]
}

const derivedForm = /[0-9a-v]{26}$/
/** Slashes of the longest name: `auth/` and those of its prefix. */
const segmentsMax = 10

export function createTripwire (mac: NameMac): Tripwire {
  const secret = randomBytes(32).toString('base64url')
  let watched = new Map<string, Watched>()
  const retired = new Map<string, { readonly of: Watched, readonly name: PastName }>()

  const digest = (name: string) => hash('sha256', secret + name, 'base64url')

  function digestOf (mount: Mount, { term, slot, prefix }: PastName): string | null {
    const derived = deriveName(mac, term, mount.accessor, slot)
    return derived === null ? null : digest(`${mount.table === 'auth' ? 'auth/' : ''}${prefix}${derived}`)
  }

  /** Most mounts have not changed since the last time, whatever it was that did. */
  function renew (mount: Mount, names: readonly PastName[], former: Watched | undefined): Watched {
    const known = new Map(former?.names.map((name, n) => [idOf(name), former.digests[n] ?? null]))
    const digests = names.map((name) => known.get(idOf(name)) ?? digestOf(mount, name))
    const of = { mount, names, digests }
    forget(former)
    for (const [n, name] of names.entries()) {
      const made = digests[n]
      if (made) retired.set(made, { of, name })
    }
    return of
  }

  function forget (former: Watched | undefined): void {
    for (const made of former?.digests ?? []) if (made !== null) retired.delete(made)
  }

  return {
    follow (mounts) {
      const former = watched
      watched = new Map()
      for (const mount of mounts) {
        const names = retiredNames(mount)
        const before = former.get(mount.accessor)
        former.delete(mount.accessor)
        if (before !== undefined && areSame(before.names, names)) {
          before.mount = mount
          watched.set(mount.accessor, before)
        } else if (names.length > 0) watched.set(mount.accessor, renew(mount, names, before))
        else forget(before)
      }
      for (const gone of former.values()) forget(gone)
    },
    find (path) {
      let end = 0
      for (let n = 0; n < segmentsMax && end < path.length && retired.size > 0; n++) {
        const slash = path.indexOf('/', end === 0 ? 0 : end + 1)
        end = slash === -1 ? path.length : slash
        if (end < derivedLength || !derivedForm.test(path.slice(end - derivedLength, end))) continue
        const found = retired.get(digest(path.slice(0, end)))
        if (found === undefined) continue
        const { of: { mount }, name: { slot, replacedAtMs, endsAtMs } } = found
        return { mount, slot, replacedAtMs, isWritten: endsAtMs === null }
      }
      return null
    }
  }
}

const idOf = ({ term, slot, prefix }: PastName) => `${term}/${slot}/${prefix}`

function areSame (some: readonly PastName[], others: readonly PastName[]): boolean {
  return some.length === others.length && some.every((one, n) => {
    const other = others[n]
    return other !== undefined && idOf(one) === idOf(other) && one.endsAtMs === other.endsAtMs
  })
}

/** Former names, and the last one of a rotation that was turned off. */
function retiredNames ({ rotation }: Mount): readonly PastName[] {
  if (rotation === null) return []
  if (rotation.enabled) return rotation.past
  const { slot, term, prefix, startedAtMs } = rotation
  return [{ slot, term, prefix, replacedAtMs: startedAtMs, endsAtMs: null }, ...rotation.past]
}
