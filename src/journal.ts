import type { Audit } from './audit/audit.ts'
import { requestId } from './core/ids.ts'
import type { JsonObject } from './core/json.ts'
import type { MountTable } from './mounts/mount-table.ts'

/**
 * Has what nobody asked for audited as a request is: the entry is written before `run`, and what it
 * came to after it. No entry, nothing done.
 */
export type Journal = (path: string, data: JsonObject, run: () => Promise<JsonObject>) => Promise<void>

export function createJournal (
  { audit, mounts }: { readonly audit: () => Audit, readonly mounts: Pick<MountTable, 'find'> }
): Journal {
  return async (path, data, run) => {
    const subject = {
      id: requestId(),
      operation: 'update',
      path,
      data,
      remoteAddress: '',
      remotePort: 0,
      socketAddress: '',
      wrapTtlSeconds: null,
      clientToken: null,
      mount: mounts.find('secret', 'sys'),
      token: null,
      usesLeft: null,
      policyResults: { allowed: true, grantedBy: [] },
      secretKeys: new Set<string>(),
      denial: null
    }
    await audit().recordRequest(subject)
    let done: JsonObject
    try {
      done = await run()
    } catch (error) {
      await audit().recordResponse(subject, { error: 'internal error' })
      throw error
    }
    await audit().recordResponse(subject, { data: done })
  }
}
