import { createHash } from 'node:crypto'
import { AwsError } from './aws-error.ts'
import type { Operations } from './call.ts'
import { escapeXml, renderXml } from './http/tree.ts'
import type { Judge } from './judge.ts'
import { xml, type Service } from './service.ts'
import type { Account } from './state/world.ts'

const namespace = 'https://route53.amazonaws.com/doc/2013-04-01/'
const style = { item: 'member', milliseconds: true }
const pageMax = 100

/** Amazon Route 53, API 2013-04-01: ListHostedZones and GetHostedZoneCount over REST and XML. */
export function createRoute53 (judge: Judge): Service {
  const operations: Operations = {
    ListHostedZones (call) {
      judge.authorize(call, 'route53:ListHostedZones', '*')
      const { params, caller: { account } } = call
      const maxText = params.get('maxitems') ?? String(pageMax)
      if (!/^\d{1,9}$/.test(maxText)) throw new AwsError(400, 'InvalidInput', 'maxitems must be a number')
      const max = Math.min(Math.max(1, Number(maxText)), pageMax)
      const zones = zonesOf(account)
      const marker = params.get('marker')
      const start = marker === undefined ? 0 : zones.findIndex(({ id }) => id === marker)
      if (start === -1) throw new AwsError(400, 'InvalidInput', `Invalid marker ${marker?.slice(0, 64)}`)
      const next = zones[start + max]
      return {
        result: {
          HostedZones: {
            itemName: 'HostedZone',
            items: zones.slice(start, start + max).map(({ id, name }) => ({
              Id: `/hostedzone/${id}`,
              Name: name,
              CallerReference: id,
              Config: { PrivateZone: false },
              ResourceRecordSetCount: 2
            }))
          },
          Marker: marker,
          IsTruncated: next !== undefined,
          NextMarker: next?.id,
          MaxItems: max
        }
      }
    },

    GetHostedZoneCount (call) {
      judge.authorize(call, 'route53:GetHostedZoneCount', '*')
      return { result: { HostedZoneCount: call.caller.account.hostedZones.length } }
    }
  }
  return {
    name: 'route53',
    version: null,
    eventSource: 'route53.amazonaws.com',
    operations,
    actionOf ({ method, path }) {
      if (method !== 'GET') return ''
      if (path === '/2013-04-01/hostedzone') return 'ListHostedZones'
      return path === '/2013-04-01/hostedzonecount' ? 'GetHostedZoneCount' : ''
    },
    throttled: new AwsError(400, 'Throttling', 'Rate exceeded'),
    renderResult: (action, result) =>
      xml(200, `<?xml version="1.0"?>\n<${action}Response xmlns="${namespace}">${renderXml(result, style)}</${action}Response>`),
    renderError: ({ status, code, message }, requestId) => xml(status,
      `<?xml version="1.0"?>\n<ErrorResponse xmlns="${namespace}"><Error><Type>${status >= 500 ? 'Receiver' : 'Sender'}</Type>` +
      `<Code>${code}</Code><Message>${escapeXml(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`)
  }
}

/** A zone's id depends on its account and name, so that it is the same at every start. */
function zonesOf ({ id: accountId, hostedZones }: Account): readonly { readonly id: string, readonly name: string }[] {
  return hostedZones.map((name) => ({
    id: `Z${createHash('sha256').update(`${accountId} ${name}`).digest('hex').slice(0, 20).toUpperCase()}`,
    name: name.endsWith('.') ? name : `${name}.`
  }))
}
