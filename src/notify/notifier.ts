import type { BrokerEvent, EventType } from '../core/events.ts'
import type { SigningSecret } from './signature.ts'

/** What all notifiers have. */
interface Common {
  /** Never used twice; its first two characters are the shard of what is kept about it. */
  readonly id: string
  readonly name: string
  readonly enabled: boolean
  /** Why the broker disabled it; null: it did not. */
  readonly disabledReason: string | null
  readonly events: readonly EventType[]
  /** Grows when present names have to be told anew: another destination, or enabled again. */
  readonly generation: number
  readonly createdAtMs: number
}

/** Tells of events by signed requests. */
export interface Webhook extends Common {
  readonly type: 'webhook'
  /** Own paths of mounts; empty: all. */
  readonly mounts: readonly string[]
  readonly url: string
  /** Whether rotation events hold the present name. */
  readonly includeName: boolean
  /** The present one first. */
  readonly secrets: readonly SigningSecret[]
}

/** Keeps variables of a workspace of HCP Terraform, or Terraform Enterprise, written with present names. */
export interface HcpTerraform extends Common {
  readonly type: 'hcp-terraform'
  readonly address: string
  readonly token: string
  readonly workspaceId: string
  /** Keys of variables, by the mount's own path. */
  readonly variables: Readonly<Record<string, string>>
  readonly category: 'terraform' | 'env'
  readonly startRun: boolean
  /** null: as the workspace is set. */
  readonly autoApply: boolean | null
  readonly message: string
}

export type Notifier = Webhook | HcpTerraform

/** Which mounts' names a notifier is told, by own paths, none meaning all, and where they go; null: it is told none. */
export function namesToldOf (notifier: Notifier): { readonly mounts: readonly string[], readonly to: string } | null {
  if (!notifier.enabled) return null
  if (notifier.type === 'webhook') return notifier.includeName ? { mounts: notifier.mounts, to: destinationOf(notifier) } : null
  const mounts = Object.keys(notifier.variables)
  return mounts.length === 0 ? null : { mounts, to: destinationOf(notifier) }
}

/** Where present names have to be: they are told anew where this changes. */
export function destinationOf (notifier: Notifier): string {
  return JSON.stringify(notifier.type === 'webhook'
    ? [notifier.url, notifier.includeName]
    : [notifier.address, notifier.token, notifier.workspaceId, notifier.variables, notifier.category])
}

/** Whether a notifier is told of what mounts under an own path do. */
export function concerns (notifier: Notifier, ownPath: string): boolean {
  if (notifier.type === 'hcp-terraform') return Object.hasOwn(notifier.variables, ownPath)
  return notifier.mounts.length === 0 || notifier.mounts.includes(ownPath)
}

/**
 * Whether a notifier is sent an event. Rotations are told by what the table of mounts says instead,
 * and an alarm only where the mount's reaction says so.
 */
export function wants (notifier: Notifier, event: BrokerEvent): boolean {
  if (!notifier.enabled || event.type === 'rotation' || !notifier.events.includes(event.type)) return false
  if (event.type === 'tripwire' && (event.reaction === 'none' || event.reaction === 'log')) return false
  return event.type === 'audit-degraded' || concerns(notifier, event.mount)
}
