import type { AuditFigures } from './audit.ts'
import { megabytes, type LeaseFigures } from './leases.ts'
import { aims, type Rate } from './rates.ts'
import type { RotationCost, RotationFigures } from './rotation.ts'
import type { StartFigure } from './start.ts'

/** Rates beside their ceilings, as a Markdown table. */
export function rateTable (rates: readonly Rate[]): string {
  return table(
    ['store', 'operation', 'per second', 'ceiling', 'ratio', 'aim', 'p50 ms', 'p99 ms', 'CPU us', 'ceiling CPU us', 'MB', 'errors'],
    rates.map(({ store, operation, broker, ceiling, ratio, residentBytes }) => [
      store, operation, whole(broker.perSecond), whole(ceiling.perSecond), ratio.toFixed(2), `${aims[operation] ?? ''}`,
      broker.p50Ms.toFixed(2), broker.p99Ms.toFixed(1), broker.cpuMicros.toFixed(0), ceiling.cpuMicros.toFixed(0),
      megabytes(residentBytes), whole(broker.errors)
    ])
  )
}

/** Memory and revocation, as a Markdown table. */
export function leaseTable (figures: readonly LeaseFigures[]): string {
  return table(
    ['store', 'live leases', 'vends/s', 'MB at start (aim 120)', 'MB warm', 'MB with all', 'bytes a lease', 'revoke-prefix s', 'reader p99 ms', 'quiet', 'max'],
    figures.map((figure) => [
      figure.store, whole(figure.leases), whole(figure.vendsPerSecond), megabytes(figure.startBytes), megabytes(figure.warmBytes),
      megabytes(figure.fullBytes), whole((figure.fullBytes - figure.warmBytes) / (figure.leases - figure.warmMade)),
      figure.revokeSeconds.toFixed(1), figure.reader.p99Ms.toFixed(1), figure.reader.quietP99Ms.toFixed(1), figure.reader.maxMs.toFixed(0)
    ])
  )
}

/** Times of starts, as a Markdown table. */
export function startTable (figures: readonly StartFigure[]): string {
  return table(
    ['start to first healthy answer (aim 1,000 ms)', 'median ms', 'slowest ms', 'MB'],
    figures.map(({ what, timesMs, residentBytes }) => [
      what, whole(timesMs[Math.floor(timesMs.length / 2)] ?? NaN), whole(timesMs.at(-1) ?? NaN), megabytes(residentBytes)
    ])
  )
}

/** One line about the two entries of a look-up. */
export function auditText ({ sync, tokens, cpuMicros, wallMicros }: AuditFigures): string {
  return `Audit, two entries of a look-up, sync "${sync === 'none' ? 'kernel' : 'group'}", ${tokens} tokens: ` +
    `${cpuMicros.toFixed(1)} us of CPU, ${wallMicros.toFixed(1)} us with 32 in flight.`
}

/** Two lines about names that rotate. */
export function rotationText (figures: RotationFigures, { leases, emptyMs, fullMs }: RotationCost): string {
  return `Rotation, ${figures.clients} clients, ${figures.rotations} rotations of two mounts in ${figures.seconds.toFixed(1)} s: ` +
    `${whole(figures.requests)} requests, ${figures.refused} refused in grace, ${figures.wrong} from a wrong mount (aim: 0, 0).\n` +
    `A rotation with ${whole(leases)} leases under the mount: ${fullMs.toFixed(2)} ms; with none: ${emptyMs.toFixed(2)} ms; ` +
    `ratio ${(fullMs / emptyMs).toFixed(2)} (aim: 1).`
}

function whole (value: number): string {
  return Math.round(value).toLocaleString('en')
}

function table (head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
