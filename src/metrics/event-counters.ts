import { Counter, type Registry } from 'prom-client'
import type { BrokerEvent } from '../core/events.ts'

/** Series that each counter keeps: mounts come and go, and anybody who may make them would fill the memory. */
export const seriesMax = 20_000

/** A counter that forgets the series which was counted least recently, as if its mount were new when it is counted again. */
function boundedCounter<Label extends string> (
  registry: Registry, name: string, help: string, labelNames: readonly Label[]
) {
  const counter = new Counter({ name, help, labelNames, registers: [registry] })
  const known = new Map<string, Record<Label, string>>()
  return {
    inc (labels: Record<Label, string>): void {
      const id = JSON.stringify(labelNames.map((label) => labels[label]))
      known.delete(id)
      known.set(id, labels)
      const [oldest] = known
      if (known.size > seriesMax && oldest !== undefined) {
        known.delete(oldest[0])
        counter.remove(oldest[1])
      }
      counter.inc(labels)
    }
  }
}

/**
 * Counts events by what of them are words of the broker's own: a mount's own path, never a name that
 * rotates, never who it was (SEC-222). The answer is whom to tell of each event.
 */
export function createEventCounters (registry: Registry): (event: BrokerEvent) => void {
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    boundedCounter(registry, name, help, labelNames)
  const rotations = counter('latchkey_rotations_total', 'Names that this broker replaced, by mount and cause', ['mount', 'cause'])
  const tripwires = counter(
    'latchkey_tripwires_total',
    'Uses of former names, told once a minute for each client: inside or outside of grace, by a known client or not, and what was done',
    ['mount', 'grace', 'reaction', 'known_client']
  )
  const leases = counter('latchkey_leases_total', 'Leases that this broker issued or ended, by mount', ['mount', 'change'])
  const loginFailures = counter('latchkey_login_failures_total', 'Logins that were refused, by mount', ['mount'])
  const auditChanges = counter('latchkey_audit_changes_total', 'How often an audit device began to fail or worked again', ['device', 'failing'])

  return (event) => {
    switch (event.type) {
      case 'rotation': return rotations.inc({ mount: event.mount, cause: event.cause })
      case 'tripwire': {
        const { mount, grace, reaction, knownClient } = event
        return tripwires.inc({ mount, grace, reaction, known_client: String(knownClient) })
      }
      case 'lease': return leases.inc({ mount: event.mount, change: event.change })
      case 'login-failure': return loginFailures.inc({ mount: event.mount })
      case 'audit-degraded': return auditChanges.inc({ device: event.device, failing: String(event.failing) })
    }
  }
}
