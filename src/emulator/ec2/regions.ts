import type { Operation } from '../call.ts'
import { defaultRegions, optInRegions } from '../state/regions.ts'
import { readTexts } from '../http/params.ts'
import { passesFilters, readFilters, type Ec2Gate } from './query.ts'
import { AwsError } from '../aws-error.ts'

const endpointOf = (name: string): string => `ec2.${name}.amazonaws.com`

/** DescribeRegions: those that the account has, or all of the partition. */
export function createDescribeRegions (gate: Ec2Gate): Operation {
  return (call) => {
    gate.authorize(call)
    const { optedInRegions } = call.caller.account
    const all = call.params.get('AllRegions') === 'true'
    const named = readTexts(call.params, 'RegionName')
    const known = [
      ...defaultRegions.map((name) => ({ name, status: 'opt-in-not-required' })),
      ...optInRegions.map((name) => ({ name, status: optedInRegions.has(name) ? 'opted-in' : 'not-opted-in' }))
    ]
    const missing = named.filter((name) => !known.some((region) => region.name === name))
    if (missing.length > 0) {
      throw new AwsError(400, 'InvalidParameterValue', `Invalid region provided: [${missing.join(', ')}]`)
    }
    const filters = readFilters(call.params)
    return {
      result: {
        regionInfo: known
          .filter(({ name, status }) => named.length === 0 ? all || status !== 'not-opted-in' : named.includes(name))
          .filter(({ name, status }) => passesFilters(filters, {
            'region-name': [name], endpoint: [endpointOf(name)], 'opt-in-status': [status]
          }, new Map()))
          .map(({ name, status }) => ({ regionName: name, regionEndpoint: endpointOf(name), optInStatus: status }))
      }
    }
  }
}
