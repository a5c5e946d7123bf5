import type { Audit } from '../audit/audit.ts'
import { operation, type Operation } from '../core/backend.ts'
import { BrokerError, invalidRequest } from '../core/errors.ts'
import { any, bool, strictText, text, textMap } from '../core/fields.ts'
import type { Json } from '../core/json.ts'

/** Hashes that may be asked for in one second, so that guessing what stands in the log is slow (SEC-265). */
const hashesPerSecond = 50

/** `sys/audit` and `sys/audit-hash` (contract 5.11). Devices are the operator's, set at the start. */
export function createAuditOperations ({ audit }: { audit: Pick<Audit, 'devices' | 'hash'> }): Operation[] {
  let second = 0
  let hashes = 0

  function exists (path: string): boolean {
    return audit.devices().some(({ name }) => name === path)
  }

  function assertRate (path: string, nowMs: number): void {
    if (Math.floor(nowMs / 1000) !== second) {
      second = Math.floor(nowMs / 1000)
      hashes = 0
    }
    if (++hashes > hashesPerSecond) {
      throw new BrokerError('limit_exceeded', `request path "sys/audit-hash/${path}": rate limit quota exceeded`)
    }
  }

  return [
    operation({
      verb: 'read', path: 'audit', access: 'sudo', mirrored: true, summary: 'List the audit devices', fields: {},
      async run () {
        const data: Record<string, Json> = Object.create(null)
        for (const { name, type, options } of audit.devices()) {
          data[`${name}/`] = { type, description: '', path: `${name}/`, local: false, options }
        }
        return { kind: 'data', data }
      }
    }),
    operation({
      verb: 'write', path: 'audit/*path', access: 'sudo', summary: 'Enable an audit device: refused, devices are set at the start',
      fields: {
        path: text('Path of the device'),
        type: text('Type of the device'),
        description: text('Description'),
        options: textMap('Options of the device'),
        local: bool('Whether it is local')
      },
      async run (_call, { path = '' }) {
        if (exists(path)) throw invalidRequest('path already in use')
        throw invalidRequest('cannot enable audit device via API; use declarative, config-based audit device management instead')
      }
    }),
    operation({
      verb: 'delete', path: 'audit/*path', access: 'sudo', summary: 'Disable an audit device: refused for those that are set at the start',
      fields: { path: any('Path of the device') },
      async run (_call, { path }) {
        if (exists(String(path))) throw invalidRequest('cannot disable configuration-managed audit device')
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'audit-hash/*path', access: 'capability', mirrored: true, summary: 'Hash a text as an audit device does',
      fields: { path: text('Path of the device'), input: strictText('What to hash') },
      async run ({ nowMs }, { path = '', input }) {
        if (!exists(path)) throw invalidRequest(`unknown audit backend "${path}/"`)
        if (input === undefined || input === '') throw invalidRequest('the "input" parameter is empty')
        assertRate(path, nowMs)
        return { kind: 'data', data: { hash: audit.hash(path, input) } }
      }
    })
  ]
}
