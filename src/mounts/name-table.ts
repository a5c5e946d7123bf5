import { ownPath, type Mount } from '../core/model.ts'
import { aheadMax, deriveName, inGrace, type NameMac } from './rotation.ts'

/**
 * By which of its names a mount was reached. `stable`: its own path; `guarded`: its own path, which
 * answers only some tokens.
 */
export interface Reached {
  readonly by: 'stable' | 'guarded' | 'present' | 'grace'
  /** Of a name that rotates; 0 for a mount's own path. */
  readonly slot: number
}

/** What is found at a request prefix, without its last slash. */
export interface Place {
  readonly mount: Mount
  readonly reached: Reached
  /** When it ceases to answer, epoch ms of the store; null: not by itself. */
  readonly endsAtMs: number | null
}

const stable: Reached = { by: 'stable', slot: 0 }
const guarded: Reached = { by: 'guarded', slot: 0 }

/** All request prefixes that lead to mounts: own paths, present names, names in grace. */
export interface NameTable {
  /** Makes the places of these mounts; names that were known before are not derived again. */
  build (mounts: Iterable<Mount>): Map<string, Place>
  /** The request prefix of a mount's name in its present slot, without its last slash; its own where it has no other, null without its key. */
  presentName (mount: Mount): string | null
}

export function createNameTable (mac: NameMac): NameTable {
  /** What follows the prefix, by accessor, then by term and slot. */
  let known = new Map<string, Map<string, string>>()

  function suffix (from: Map<string, string> | undefined, mount: Mount, term: number, slot: number): string | null {
    return from?.get(`${term}/${slot}`) ?? deriveName(mac, term, mount.accessor, slot)
  }

  const under = ({ table }: Mount, name: string) => ownPath({ table, path: name })

  function addNames (mount: Mount, places: Map<string, Place>): Map<string, string> {
    const former = known.get(mount.accessor)
    const kept = new Map<string, string>()
    const { rotation } = mount
    if (rotation === null || !rotation.enabled) return kept
    const add = (prefix: string, term: number, slot: number, by: 'present' | 'grace', endsAtMs: number | null) => {
      const derived = suffix(former, mount, term, slot)
      // A name whose key was destroyed is a name no more.
      if (derived === null) return
      kept.set(`${term}/${slot}`, derived)
      places.set(under(mount, prefix + derived), { mount, reached: { by, slot }, endsAtMs })
    }
    for (const { prefix, term, slot, endsAtMs } of inGrace(rotation)) add(prefix, term, slot, 'grace', endsAtMs)
    for (let ahead = 0; ahead <= aheadMax; ahead++) add(rotation.prefix, rotation.term, rotation.slot + ahead, 'present', null)
    return kept
  }

  function ownPlace (mount: Mount): Place | null {
    const mode = mount.rotation?.enabled === true ? mount.rotation.stablePath : 'always'
    return mode === 'never' ? null : { mount, reached: mode === 'always' ? stable : guarded, endsAtMs: null }
  }

  return {
    build (mounts) {
      const places = new Map<string, Place>()
      const names = new Map<string, Map<string, string>>()
      for (const mount of mounts) {
        const own = ownPlace(mount)
        if (own !== null) places.set(ownPath(mount), own)
        if (mount.rotation !== null) names.set(mount.accessor, addNames(mount, places))
      }
      known = names
      return places
    },
    presentName (mount) {
      const { rotation } = mount
      if (rotation === null || !rotation.enabled) return ownPath(mount)
      const derived = suffix(known.get(mount.accessor), mount, rotation.term, rotation.slot)
      return derived === null ? null : under(mount, rotation.prefix + derived)
    }
  }
}
