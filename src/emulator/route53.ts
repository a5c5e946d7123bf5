import { createHash } from 'node:crypto'
import { AwsError } from './aws-error.ts'
import type { Call, Operations } from './call.ts'
import { escapeXml, renderXml, type Tree } from './http/tree.ts'
import type { Judge } from './judge.ts'
import { xml, type Service } from './service.ts'
import type { Account } from './state/world.ts'

const namespace = 'https://route53.amazonaws.com/doc/2013-04-01/'
const style = { item: 'member', milliseconds: true }
const pageMax = 100
const nameServers = ['ns-1.awsdns-01.example', 'ns-2.awsdns-02.example']

/** The operations by the path of their GET request; a zone's id is in the path. */
const paths: readonly (readonly [RegExp, string])[] = [
  [/^\/2013-04-01\/hostedzone\/?$/, 'ListHostedZones'],
  [/^\/2013-04-01\/hostedzonesbyname\/?$/, 'ListHostedZonesByName'],
  [/^\/2013-04-01\/hostedzonecount$/, 'GetHostedZoneCount'],
  [/^\/2013-04-01\/hostedzone\/[^/]+$/, 'GetHostedZone'],
  [/^\/2013-04-01\/tags\/hostedzone\/[^/]+$/, 'ListTagsForResource']
]

/** Amazon Route 53, API 2013-04-01, over REST and XML: the seed's hosted zones, to look at. */
export function createRoute53 (judge: Judge): Service {
  return {
    name: 'route53',
    version: null,
    eventSource: 'route53.amazonaws.com',
    operations: createOperations(judge),
    actionOf: ({ method, path }) =>
      method === 'GET' ? paths.find(([pattern]) => pattern.test(path))?.[1] ?? '' : '',
    unknownAction: () => new AwsError(404, 'UnknownOperationException', 'There is no such operation here.'),
    throttled: new AwsError(400, 'Throttling', 'Rate exceeded'),
    renderResult: (action, result) =>
      xml(200, `<?xml version="1.0"?>\n<${action}Response xmlns="${namespace}">${renderXml(result, style)}</${action}Response>`),
    renderError: ({ status, code, message }, requestId) => xml(status,
      `<?xml version="1.0"?>\n<ErrorResponse xmlns="${namespace}"><Error><Type>${status >= 500 ? 'Receiver' : 'Sender'}</Type>` +
      `<Code>${code}</Code><Message>${escapeXml(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`)
  }
}

function createOperations (judge: Judge): Operations {
  const readZone = (call: Call): HostedZone => {
    const id = call.path.slice(call.path.lastIndexOf('/') + 1)
    judge.authorize(call, `route53:${call.action}`, `arn:aws:route53:::hostedzone/${id}`)
    const zone = zonesOf(call.caller.account).find((one) => one.id === id)
    if (zone === undefined) throw new AwsError(404, 'NoSuchHostedZone', `No hosted zone found with ID: ${id.slice(0, 64)}`)
    return zone
  }

  return {
    ListHostedZones (call) {
      judge.authorize(call, 'route53:ListHostedZones', '*')
      const zones = zonesOf(call.caller.account)
      const marker = call.params.get('marker')
      const start = marker === undefined ? 0 : zones.findIndex(({ id }) => id === marker)
      if (start === -1) throw new AwsError(400, 'InvalidInput', `Invalid marker ${marker?.slice(0, 64)}`)
      const { shown, next, fields } = pageOf(call, zones, start)
      return { result: { ...zoneList(shown), Marker: marker, NextMarker: next?.id, ...fields } }
    },

    ListHostedZonesByName (call) {
      judge.authorize(call, 'route53:ListHostedZonesByName', '*')
      const zones = zonesOf(call.caller.account).toSorted((a, b) => a.name < b.name ? -1 : 1)
      const from = call.params.get('dnsname')
      const start = from === undefined ? 0 : zones.findIndex(({ name }) => name >= dotted(from))
      const { shown, next, fields } = pageOf(call, zones, start === -1 ? zones.length : start)
      return {
        result: { ...zoneList(shown), DNSName: from, NextDNSName: next?.name, NextHostedZoneId: next?.id, ...fields }
      }
    },

    GetHostedZoneCount (call) {
      judge.authorize(call, 'route53:GetHostedZoneCount', '*')
      return { result: { HostedZoneCount: call.caller.account.hostedZones.length } }
    },

    GetHostedZone (call) {
      return {
        result: {
          HostedZone: zoneTree(readZone(call)),
          DelegationSet: { NameServers: { itemName: 'NameServer', items: nameServers } }
        }
      }
    },

    ListTagsForResource (call) {
      const { id } = readZone(call)
      return {
        result: {
          ResourceTagSet: { ResourceType: 'hostedzone', ResourceId: id, Tags: { itemName: 'Tag', items: [] } }
        }
      }
    }
  }
}

interface HostedZone {
  readonly id: string
  readonly name: string
}

function pageOf ({ params }: Call, zones: readonly HostedZone[], start: number) {
  const maxText = params.get('maxitems') ?? String(pageMax)
  if (!/^\d{1,9}$/.test(maxText)) throw new AwsError(400, 'InvalidInput', 'maxitems must be a number')
  const max = Math.min(Math.max(1, Number(maxText)), pageMax)
  const next = zones[start + max]
  return {
    shown: zones.slice(start, start + max), next, fields: { IsTruncated: next !== undefined, MaxItems: max }
  }
}

function zoneList (zones: readonly HostedZone[]): Tree {
  return { HostedZones: { itemName: 'HostedZone', items: zones.map(zoneTree) } }
}

function zoneTree ({ id, name }: HostedZone): Tree {
  return {
    Id: `/hostedzone/${id}`,
    Name: name,
    CallerReference: id,
    Config: { PrivateZone: false },
    ResourceRecordSetCount: 2
  }
}

/** A zone's id depends on its account and name, so that it is the same at every start. */
function zonesOf ({ id: accountId, hostedZones }: Account): readonly HostedZone[] {
  return hostedZones.map((name) => ({
    id: `Z${createHash('sha256').update(`${accountId} ${name}`).digest('hex').slice(0, 20).toUpperCase()}`,
    name: dotted(name)
  }))
}

function dotted (name: string): string {
  return name.endsWith('.') ? name : `${name}.`
}
