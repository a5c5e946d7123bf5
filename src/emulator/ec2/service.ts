import { AwsError } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import { escapeXml, renderXml } from '../http/tree.ts'
import type { Judge } from '../judge.ts'
import { translated, type Service } from '../service.ts'
import type { RandomSource } from '../state/random.ts'
import type { Vault } from '../state/vault.ts'
import { createAttributeOperations } from './attributes.ts'
import { createDescribeImages } from './images.ts'
import { createInstanceOperations } from './instances.ts'
import { createNetworkOperations } from './network.ts'
import { createProfileAssociationOperations } from './profile-associations.ts'
import { createEc2Gate } from './query.ts'
import { createDescribeRegions } from './regions.ts'
import { createRunInstances } from './run-instances.ts'
import { createTagOperations } from './tags.ts'
import { createVolumeOperations } from './volumes.ts'

const namespace = 'http://ec2.amazonaws.com/doc/2016-11-15/'
const style = { item: 'item', milliseconds: true }

const notValidated = new AwsError(401, 'AuthFailure', 'AWS was not able to validate the provided access credentials')
const expired = new AwsError(400, 'RequestExpired', 'Request has expired.')

/** Amazon EC2, API 2016-11-15: records of instances and the network they would be in. */
export function createEc2 (parts: { judge: Judge, vault: Vault, random: RandomSource }): Service {
  const gate = createEc2Gate(parts)
  const operations: Operations = {
    DescribeRegions: createDescribeRegions(gate),
    ...createNetworkOperations(gate),
    RunInstances: createRunInstances({ ...parts, gate }),
    ...createInstanceOperations(gate),
    ...createAttributeOperations(gate),
    ...createVolumeOperations(gate),
    ...createProfileAssociationOperations(gate, parts.judge),
    DescribeImages: createDescribeImages(gate),
    ...createTagOperations(gate)
  }
  return {
    name: 'ec2',
    version: '2016-11-15',
    eventSource: 'ec2.amazonaws.com',
    operations,
    actionOf: (_request, params) => params.get('Action') ?? '',
    unknownAction: (action) =>
      new AwsError(400, 'InvalidAction', `The action ${action.slice(0, 128)} is not valid for this web service.`),
    throttled: new AwsError(503, 'RequestLimitExceeded', 'Request limit exceeded.'),
    renderResult: (action, result, requestId) => xml(200,
      `<${action}Response xmlns="${namespace}"><requestId>${requestId}</requestId>${renderXml(result, style)}</${action}Response>`),
    renderError (error, requestId) {
      const { status, code, message } = translated(error, {
        'unknown-key': notValidated, token: notValidated, mismatch: notValidated, expired, skew: expired
      })
      return xml(status, `<Response><Errors><Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error></Errors>` +
        `<RequestID>${requestId}</RequestID></Response>`)
    }
  }
}

function xml (status: number, text: string) {
  return { status, contentType: 'text/xml;charset=UTF-8', text: `<?xml version="1.0" encoding="UTF-8"?>\n${text}` }
}
