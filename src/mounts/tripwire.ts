import { createHmac, randomBytes } from 'node:crypto'
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

/** Recognises former names of all mounts, the last ones, when they do not answer. It holds their HMACs under a key of this process, and no name. */
export interface Tripwire {
  /** Follows the table; what was known before is not derived again. */
  follow (mounts: Iterable<Mount>): void
  /** The former name that a path begins with, where nothing was found at it; null: none. */
  find (path: string): Tripped | null
}

const derivedForm = /[0-9a-v]{26}$/
/** Slashes of the longest name: `auth/` and those of its prefix. */
const segmentsMax = 10

export function createTripwire (mac: NameMac): Tripwire {
  const secret = randomBytes(32)
  let digests = new Map<string, string>()
  let retired = new Map<string, Tripped>()

  const digest = (name: string) => createHmac('sha256', secret).update(name).digest('base64url')

  function digestOf (mount: Mount, { term, slot, prefix }: Pick<PastName, 'term' | 'slot' | 'prefix'>): string | null {
    const derived = deriveName(mac, term, mount.accessor, slot)
    return derived === null ? null : digest(`${mount.table === 'auth' ? 'auth/' : ''}${prefix}${derived}`)
  }

  return {
    follow (mounts) {
      const known = digests
      digests = new Map()
      retired = new Map()
      for (const mount of mounts) {
        for (const name of retiredNames(mount)) {
          const id = `${mount.accessor}/${name.term}/${name.slot}/${name.prefix}`
          const made = known.get(id) ?? digestOf(mount, name)
          if (made === null) continue
          digests.set(id, made)
          const { slot, replacedAtMs, endsAtMs } = name
          retired.set(made, { mount, slot, replacedAtMs, isWritten: endsAtMs === null })
        }
      }
    },
    find (path) {
      let end = 0
      for (let n = 0; n < segmentsMax && end < path.length && retired.size > 0; n++) {
        const slash = path.indexOf('/', end === 0 ? 0 : end + 1)
        end = slash === -1 ? path.length : slash
        if (end < derivedLength || !derivedForm.test(path.slice(end - derivedLength, end))) continue
        const tripped = retired.get(digest(path.slice(0, end)))
        if (tripped !== undefined) return tripped
      }
      return null
    }
  }
}

/** Former names, and the last one of a rotation that was turned off. */
function retiredNames ({ rotation }: Mount): readonly PastName[] {
  if (rotation === null) return []
  if (rotation.enabled) return rotation.past
  const { slot, term, prefix, startedAtMs } = rotation
  return [{ slot, term, prefix, replacedAtMs: startedAtMs, endsAtMs: null }, ...rotation.past]
}
