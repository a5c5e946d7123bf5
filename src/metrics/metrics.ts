import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { BrokerEvent } from '../core/events.ts'
import { createEventCounters } from './event-counters.ts'

/** A number that is looked at when somebody asks for it. */
export interface Reading {
  readonly name: string
  readonly help: string
  /** Values by the text of their one label; under '' where there is none. */
  readonly label?: string
  readonly kind: 'gauge' | 'counter'
  read (): ReadonlyMap<string, number>
}

/** A request that is over. */
export interface Observed {
  readonly mountType: string
  readonly operation: string
  /** `ok`, or the code of the error. */
  readonly outcome: string
  readonly seconds: number
}

/** Counts requests and shows them, with whatever else the broker knows of itself. */
export interface Metrics {
  /** Cheap: two additions. Labels are words of the broker's own, never a caller's. */
  observe (request: Observed): void
  /** Counts an event of the broker's stream. */
  count (event: BrokerEvent): void
  /** Prometheus text, version 0.0.4. */
  text (): Promise<string>
  json (): Promise<readonly object[]>
}

interface Tally {
  readonly labels: { readonly mount_type: string, readonly operation: string, readonly outcome: string }
  count: number
  seconds: number
}

const requestLabels = ['mount_type', 'operation', 'outcome'] as const

/** The text format's media type (Prometheus exposition formats). */
export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE

export function createMetrics ({ readings }: { readings: readonly Reading[] }): Metrics {
  const registry = new Registry()
  const tallies = new Map<string, Tally>()
  collectDefaultMetrics({ register: registry, prefix: 'latchkey_' })
  const shown = (name: string, help: string, value: (tally: Tally) => number) => new Counter({
    name,
    help,
    labelNames: requestLabels,
    registers: [registry],
    collect () {
      this.reset()
      for (const tally of tallies.values()) this.inc(tally.labels, value(tally))
    }
  })
  shown('latchkey_requests_total', 'Requests by what they did and what came of them', ({ count }) => count)
  shown('latchkey_request_seconds_total', 'Time spent on requests, from the gate to the answer', ({ seconds }) => seconds)
  for (const reading of readings) register(registry, reading)

  return {
    count: createEventCounters(registry),
    observe ({ mountType, operation, outcome, seconds }) {
      const name = `${mountType} ${operation} ${outcome}`
      let tally = tallies.get(name)
      if (tally === undefined) {
        tally = { labels: { mount_type: mountType, operation, outcome }, count: 0, seconds: 0 }
        tallies.set(name, tally)
      }
      tally.count++
      tally.seconds += seconds
    },
    text: () => registry.metrics(),
    json: () => registry.getMetricsAsJSON()
  }
}

function register (registry: Registry, { name, help, label, kind, read }: Reading): void {
  const settings = { name, help, labelNames: label === undefined ? [] : [label], registers: [registry] }
  const labelled = (value: string) => label === undefined ? {} : { [label]: value }
  if (kind === 'gauge') {
    new Gauge({
      ...settings,
      collect () {
        this.reset()
        for (const [value, number] of read()) this.set(labelled(value), number)
      }
    })
    return
  }
  new Counter({
    ...settings,
    collect () {
      this.reset()
      for (const [value, number] of read()) this.inc(labelled(value), number)
    }
  })
}
