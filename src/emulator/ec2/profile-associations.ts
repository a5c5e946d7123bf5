import { AwsError } from '../aws-error.ts'
import type { Operation, Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import type { Judge } from '../judge.ts'
import type { Instance } from './ec2-state.ts'
import { instanceKeys, readInstances } from './instances.ts'
import { readProfileArn } from './launch.ts'
import { checkPassRole } from './pass-role.ts'
import { pageOf, passesFilters, readFilters, type Ec2Gate } from './query.ts'

type Change = 'associate' | 'replace' | 'disassociate'

const filterNames = ['instance-id', 'state']
const idPrefix = 'iip-assoc-'

/** The instance profile of an instance, shown and changed as an association, which has the instance's number. */
export function createProfileAssociationOperations (
  gate: Ec2Gate, judge: Judge
): Operations {
  return {
    DescribeIamInstanceProfileAssociations (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const filters = readFilters(params, filterNames)
      const ids = readTexts(params, 'AssociationId')
      const found = [...account.ec2.region(call.region).instances.values()].filter((instance) =>
        instance.profileArn !== null && instance.state !== 'terminated' &&
        (ids.length === 0 || ids.includes(associationId(instance))) &&
        passesFilters(filters, { 'instance-id': [instance.id], state: ['associated'] }, new Map()))
      const { items, nextToken } = pageOf(params, found)
      return {
        result: { iamInstanceProfileAssociationSet: items.map((one) => associationTree(one, 'associated')), nextToken }
      }
    },

    AssociateIamInstanceProfile: change('associate', gate, judge),
    ReplaceIamInstanceProfileAssociation: change('replace', gate, judge),
    DisassociateIamInstanceProfile: change('disassociate', gate, judge)
  }
}

function change (kind: Change, gate: Ec2Gate, judge: Judge): Operation {
  return (call) => {
    const { params, caller: { account } } = call
    const region = account.ec2.region(call.region)
    const id = kind === 'associate'
      ? params.get('InstanceId') ?? ''
      : (params.get('AssociationId') ?? '').replace(idPrefix, 'i-')
    const known = region.instances.get(id)
    gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
      known === undefined ? {} : instanceKeys(known, region))
    const profileArn = kind === 'disassociate' ? null : readProfileArn(params, account)
    if (profileArn !== null) checkPassRole(call, profileArn, judge)
    gate.endDryRun(call)
    if (profileArn === null && kind !== 'disassociate') {
      throw new AwsError(400, 'MissingParameter', 'The request must contain the parameter IamInstanceProfile')
    }
    const [instance] = kind === 'associate' ? readInstances(region, [id]) : [known]
    if (instance === undefined || (kind !== 'associate' && instance.profileArn === null)) {
      throw new AwsError(400, 'InvalidAssociationID.NotFound', `An invalid association-id of '${params.get('AssociationId')?.slice(0, 64)}' was given`)
    }
    if (kind === 'associate' && instance.profileArn !== null) {
      throw new AwsError(400, 'IncorrectState', `There is an existing association for instance ${id}`)
    }
    region.instances.set(id, { ...instance, profileArn })
    const shown = { ...instance, profileArn: profileArn ?? instance.profileArn }
    return {
      result: {
        iamInstanceProfileAssociation: associationTree(shown, kind === 'disassociate' ? 'disassociating' : 'associating')
      }
    }
  }
}

function associationId ({ id }: Instance): string {
  return id.replace('i-', idPrefix)
}

function associationTree (instance: Instance, state: string): Tree {
  return {
    associationId: associationId(instance),
    instanceId: instance.id,
    iamInstanceProfile: { arn: instance.profileArn ?? '', id: 'AIPAEMULATED' },
    state
  }
}
