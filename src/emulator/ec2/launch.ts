import { AwsError } from '../aws-error.ts'
import type { Call } from '../call.ts'
import { readList, readTexts, type Params } from '../http/params.ts'
import type { Account } from '../state/world.ts'
import type { Ec2Region, RootVolume, Subnet } from './ec2-state.ts'
import { requireImageId } from './images.ts'
import { badInstanceType, defaultInstanceType, instanceTypes } from './instance-types.ts'
import { absences, given, missing, readEc2Tags } from './query.ts'
import { readRootVolume } from './volumes.ts'

/** What RunInstances was asked to make. */
export interface Launch {
  readonly imageId: string
  readonly instanceType: string
  readonly count: number
  readonly rootVolume: RootVolume
  readonly subnet: Subnet
  readonly securityGroupIds: readonly string[]
  readonly profileArn: string | null
  readonly tagsByType: ReadonlyMap<string, readonly (readonly [string, string])[]>
}

const instancesMax = 20

/** Reads a launch. @throws AwsError for what is missing, malformed or not there. */
export function readLaunch ({ params, caller: { account } }: Call, region: Ec2Region): Launch {
  const imageId = given(params, 'ImageId')
  if (imageId === undefined) throw new AwsError(400, 'MissingParameter', 'The request must contain the parameter ImageId')
  requireImageId(imageId)
  const instanceType = given(params, 'InstanceType') ?? defaultInstanceType
  if (!instanceTypes.has(instanceType)) throw badInstanceType(instanceType)
  return {
    imageId,
    instanceType,
    count: readCount(params),
    rootVolume: readRootVolume(params),
    subnet: readSubnet(params, region),
    securityGroupIds: readSecurityGroups(params, region),
    profileArn: readProfileArn(params, account),
    tagsByType: readTagSpecifications(params)
  }
}

/** As many as can be had between MinCount and MaxCount. */
function readCount (params: Params): number {
  const [min, max] = ['MinCount', 'MaxCount'].map((name) => {
    const text = given(params, name)
    if (text === undefined) throw new AwsError(400, 'MissingParameter', `The request must contain the parameter ${name}`)
    return text
  }).map(Number)
  if (min === undefined || !(Number.isInteger(min) && min >= 1)) {
    throw new AwsError(400, 'InvalidParameterValue', `Value (${given(params, 'MinCount')?.slice(0, 16)}) for parameter minCount is invalid. Minimum value is 1.`)
  }
  if (max === undefined || !(Number.isInteger(max) && max >= min)) {
    throw new AwsError(400, 'InvalidParameterValue', `Value (${given(params, 'MaxCount')?.slice(0, 16)}) for parameter maxCount is invalid. It must not be below minCount.`)
  }
  if (min > instancesMax) throw instanceLimit()
  return Math.min(max, instancesMax)
}

/** InstanceLimitExceeded: more instances than an account may have. */
export function instanceLimit (): AwsError {
  return new AwsError(400, 'InstanceLimitExceeded', 'You have requested more instances than your current instance limit allows.')
}

function readSubnet (params: Params, region: Ec2Region): Subnet {
  const id = given(params, 'SubnetId') ?? given(params, 'NetworkInterface.1.SubnetId')
  const zone = given(params, 'Placement.AvailabilityZone')
  const found = region.subnets.find((subnet) =>
    id === undefined ? zone === undefined || subnet.zone === zone : subnet.id === id)
  if (found !== undefined) return found
  if (id === undefined) throw new AwsError(400, 'InvalidParameterValue', `Invalid availability zone: [${zone?.slice(0, 64)}]`)
  throw missing(absences.subnet, [id])
}

function readSecurityGroups (params: Params, region: Ec2Region): readonly string[] {
  const ids = [...readTexts(params, 'SecurityGroupId'), ...readTexts(params, 'NetworkInterface.1.SecurityGroupId')]
    .filter((id) => id !== '')
  const absent = ids.filter((id) => id !== region.securityGroupId)
  if (absent.length > 0) throw missing(absences.securityGroup, absent)
  return [region.securityGroupId]
}

/** The profile that `IamInstanceProfile` names, or null. @throws AwsError InvalidParameterValue when there is none. */
export function readProfileArn (params: Params, account: Account): string | null {
  const arn = given(params, 'IamInstanceProfile.Arn')
  const name = given(params, 'IamInstanceProfile.Name') ?? arn?.slice(arn.lastIndexOf('/') + 1)
  if (name === undefined) return null
  const profile = account.instanceProfiles.find(name)
  if (profile === null || (arn !== undefined && profile.arn !== arn)) {
    throw new AwsError(400, 'InvalidParameterValue', `Value (${name.slice(0, 128)}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`)
  }
  return profile.arn
}

const taggedAtLaunch = ['instance', 'volume', 'network-interface', 'spot-instances-request', 'elastic-gpu']

/** Tags of `TagSpecification.N` by resource type. @throws AwsError InvalidParameterValue. */
function readTagSpecifications (params: Params): ReadonlyMap<string, readonly (readonly [string, string])[]> {
  return new Map(readList(params, 'TagSpecification').map((element) => {
    const type = element.get('.ResourceType') ?? ''
    if (!taggedAtLaunch.includes(type)) {
      throw new AwsError(400, 'InvalidParameterValue', `'${type.slice(0, 64)}' is not a valid taggable resource type for this operation.`)
    }
    return [type, readEc2Tags(element, '.Tag')]
  }))
}
