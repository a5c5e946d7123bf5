import { isoTime } from '../core/iso-time.ts'
import type { JsonObject } from '../core/json.ts'
import { ownPath, type Mount } from '../core/model.ts'

/** What receivers are told of a mount's present name, which stands in it only where `name` is given. */
export function namesData (mount: Mount, name: string | null): JsonObject {
  const { rotation } = mount
  const endsAtMs = rotation?.past[0]?.endsAtMs ?? null
  return {
    mount: ownPath(mount),
    mount_accessor: mount.accessor,
    slot: rotation?.enabled === true ? rotation.slot : null,
    former_name_ends_time: endsAtMs === null ? null : isoTime(endsAtMs),
    ...(name !== null && { name })
  }
}

/** The body of a webhook (Standard Webhooks 1.0.0, "Payload structure"). */
export function webhookBody (type: string, atMs: number, data: JsonObject): string {
  return JSON.stringify({ type, timestamp: isoTime(atMs), data })
}
