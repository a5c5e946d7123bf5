import { operation, type Operation } from '../core/backend.ts'
import { text } from '../core/fields.ts'
import { metricsContentType, type Metrics } from '../metrics/metrics.ts'

/** sys/metrics (contract 5.12). */
export function createMetricsOperations ({ metrics }: { metrics: () => Metrics }): Operation[] {
  return [
    operation({
      verb: 'read',
      path: 'metrics',
      access: 'capability',
      summary: 'Numbers about the broker, for Prometheus or as JSON',
      fields: { format: text('`prometheus`, or nothing for JSON.') },
      async run ({ request }, { format = '' }) {
        const asksForText = format === 'prometheus' || (format === '' && request.accept.includes('application/openmetrics-text'))
        if (asksForText) return { kind: 'text', contentType: metricsContentType, text: await metrics().text() }
        if (format !== '') {
          const shown = JSON.stringify(format.slice(0, 64))
          return { kind: 'text', contentType: 'text/plain', text: `unknown metrics format ${shown}\n`, as: 'invalid' }
        }
        return { kind: 'bare', body: { metrics: JSON.parse(JSON.stringify(await metrics().json())) } }
      }
    })
  ]
}
