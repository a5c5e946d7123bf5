import { AwsError } from '../aws-error.ts'

/** What is known of an instance type; sizes that are not listed are refused. */
export interface InstanceType {
  readonly vcpus: number
  readonly memoryMib: number
  readonly burstable: boolean
  readonly architecture: 'x86_64' | 'arm64'
}

const sizes: Readonly<Record<string, readonly [vcpus: number, memoryMib: number]>> = {
  nano: [2, 512],
  micro: [2, 1024],
  small: [2, 2048],
  medium: [2, 4096],
  large: [2, 8192],
  xlarge: [4, 16_384],
  '2xlarge': [8, 32_768],
  '4xlarge': [16, 65_536]
}

const families: Readonly<Record<string, readonly [burstable: boolean, arm: boolean]>> = {
  m1: [false, false],
  t2: [true, false],
  t3: [true, false],
  t3a: [true, false],
  t4g: [true, true],
  m5: [false, false],
  m6i: [false, false],
  m6g: [false, true],
  m7i: [false, false],
  c5: [false, false],
  c6i: [false, false],
  r5: [false, false],
  r6i: [false, false]
}

/** Every instance type that exists here. */
export const instanceTypes: ReadonlyMap<string, InstanceType> = new Map(
  Object.entries(families).flatMap(([family, [burstable, arm]]) =>
    Object.entries(sizes)
      .filter(([size]) => isSize(family, size, burstable))
      .map(([size, [vcpus, memoryMib]]) => [`${family}.${size}`, {
        vcpus, memoryMib, burstable, architecture: arm ? 'arm64' as const : 'x86_64' as const
      }])))

function isSize (family: string, size: string, burstable: boolean): boolean {
  if (family === 'm1') return size === 'small'
  return burstable ? size !== '4xlarge' : size.endsWith('large')
}

/** What a launch that names no type gets. */
export const defaultInstanceType = 'm1.small'

/** InvalidParameterValue for a type that does not exist here. */
export function badInstanceType (name: string): AwsError {
  return new AwsError(400, 'InvalidParameterValue', `Invalid value '${name.slice(0, 64)}' for InstanceType.`)
}
