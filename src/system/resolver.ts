import { operation, type Call, type Operation } from '../core/backend.ts'
import { notFound } from '../core/errors.ts'
import { entityTag, isHeld } from '../core/etag.ts'
import { duration, strictText, text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import { ownPath, requestPrefix, type Mount, type Token } from '../core/model.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import type { Rotator } from '../mounts/rotator.ts'
import type { Waiting } from '../mounts/waiting.ts'
import { findByRequestPath } from './rotation.ts'

export interface ResolverOptions {
  readonly mounts: Pick<MountTable, 'find' | 'byAccessor' | 'presentName'>
  readonly rotator: Pick<Rotator, 'nextAtMs'>
  readonly waiting: Waiting
  readonly now: () => number
  /** Whether a token's policies give any right on a prefix or below it. */
  readonly reaches: (token: Token, prefix: string) => boolean
  /** Whether a call would be let in now; asked again after a wait. */
  readonly isStillAllowed: (call: Call) => Promise<boolean>
  /** Told of each caller who got an answer. */
  readonly resolved: (mount: Mount, token: Token, address: string) => void
}

/** The longest wait for a change. */
const waitSecondsMax = 60

/**
 * `sys/latchkey/resolve/<path>`: the name of a mount, for those who may use the mount. To others it
 * is as absent as a mount that does not exist (SEC-221). With `wait`, and the `revision` of an earlier
 * answer as `known` or its ETag in If-None-Match, it answers when the name changes. The ETag is the
 * revision, which is no secret; nowhere else is there one, nor a 304 (SEC-212).
 */
export function createResolverOperations (options: ResolverOptions): Operation[] {
  const { mounts, rotator, waiting, now, reaches } = options

  function find (token: Token | null, path: string): Mount | null {
    const mount = findByRequestPath(mounts, path)
    return mount !== null && token !== null && reaches(token, requestPrefix(mount)) && mount.state === 'live' ? mount : null
  }

  function describe (mount: Mount): JsonObject {
    const name = mounts.presentName(mount)
    if (name === null) throw notFound()
    const nextAtMs = rotator.nextAtMs(mount, now())
    const rotation = mount.rotation?.enabled === true ? mount.rotation : null
    return {
      path: ownPath(mount),
      name,
      slot: rotation?.slot ?? null,
      revision: revisionOf(mount),
      remaining_seconds: nextAtMs === null ? null : Math.floor(Math.max(0, nextAtMs - now()) / 1000),
      grace_period: rotation?.graceSeconds ?? null
    }
  }

  /** Waits for another name than one that is known. Whoever's token or right ended meanwhile learns nothing. */
  async function next (
    call: Call, mount: Mount, seconds: number, isKnown: (mount: Mount) => boolean
  ): Promise<Mount | null> {
    const { token, usesLeft, request } = call
    const isOver = () => {
      const at = mounts.byAccessor(mount.accessor)
      return at === null || !isKnown(at)
    }
    if (token === null || usesLeft === 0 || isOver()) return mount
    await waiting.wait(token.accessor, Math.min(seconds, waitSecondsMax), isOver, request.whenGone)
    const at = await options.isStillAllowed(call) ? find(token, ownPath(mount)) : null
    return at?.accessor === mount.accessor ? at : null
  }

  return [operation({
    verb: 'read',
    path: 'latchkey/resolve/*path',
    access: 'capability',
    summary: 'Tells the present name of a mount to those who may use it.',
    fields: {
      path: text('The mount\'s own path, as `aws` or `auth/approle`'),
      known: strictText('The `revision` of an earlier answer: wait until it is another'),
      wait: duration(`How long to wait for that, at most ${waitSecondsMax} s`)
    },
    async run (call, { path = '', known, wait = 0 }) {
      const { token, request } = call
      const found = find(token, path)
      const isHere = (at: Mount) => isHeld(request.ifNoneMatch, entityTag(revisionOf(at)))
      const isKnown = (at: Mount) => revisionOf(at) === known || isHere(at)
      const mount = found !== null && wait > 0 ? await next(call, found, wait, isKnown) : found
      if (mount === null || token === null) throw notFound()
      const data = describe(mount)
      options.resolved(mount, token, request.remoteAddress)
      const headers = { etag: entityTag(revisionOf(mount)) }
      return isHere(mount) ? { kind: 'unchanged', headers } : { kind: 'data', data, headers }
    }
  })]
}

/** Changes with the name, and says nothing that the accessor and the slot do not say. */
function revisionOf ({ accessor, rotation }: Mount): string {
  return rotation?.enabled === true ? `${accessor}.${rotation.slot}` : `${accessor}.stable`
}
