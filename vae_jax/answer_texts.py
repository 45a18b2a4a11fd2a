"""Every text of the answer, in each language: a statement for each verdict on a measurement, and what frames it.

A statement holds {model} and {baseline}, their titles, and {value} and {other}, their numbers. English statements begin
in lower case, since a frame may stand before them; what becomes a sentence gets its capital there.
"""

from collections.abc import Mapping
from typing import NamedTuple

from vae_jax.verdicts import CONTRADICTED, LEVEL, NOT_RESOLVED, SUPPORTED

ONE, SOME, ALL = "one", "some", "all"  # how many of several settings a statement is about


class Language(NamedTuple):
    """The texts of one language."""

    statements: Mapping[str, Mapping[str, str]]
    """By measurement and verdict; that of NOT_RESOLVED is what `open_...` asks about."""
    settings: Mapping[str, str]
    """Around a statement {what} about one setting of several, {setting}, or about {k} of {n} of them."""
    price: str  # around what is said of the price, if it is paid
    neither: str  # what is added if neither model's samples are near real images
    open_one_seed: str  # around the statement {what} of NOT_RESOLVED
    open_seeds: str  # with {n} seeds
    open_missing: str  # where a run has no finite number
    counts: tuple[str, ...]  # numbers from 0 on that are written as words
    to: str  # between the least and the greatest of several numbers
    separator: str  # between two statements in one sentence, or what stands for it
    trained: Mapping[str, str]
    """What is said without a comparison, by whether {model} has one or {n} settings."""
    labels: Mapping[str, str]
    """Of the main numbers of models that are compared with nothing."""


_SAMPLES = "the {model}’s samples from N(0, I) are nearer to real images than the {baseline}’s"
_STEP = "a small step in the latent space changes the {model}’s decode less than the {baseline}’s"
_SHAPE = "the {model}’s codes are shaped more like a Gaussian than the {baseline}’s"
_HOLES = "fewer samples of a Gaussian fitted to the codes fall into holes in the {model} than in the {baseline}"
_CLASSES = "codes of a class lie closer together in the {model} than in the {baseline}"
_MIDPOINTS = "halfway between two codes, the {model} decodes implausible images less often than the {baseline}"
_FITTED = "(Fréchet distance {other} against {value})"
_FRECHET = "(Fréchet distance {value} against {other})"
_DECODES = "({value} against {other} of the variance of decodes)"
_NATS = "({value} against {other} nats from their own Gaussian)"
_SHARES = "({value} against {other})"
_EXCESS = "({value} against {other}, beyond the share of its reconstructions)"
_DISTORTION = "(distortion {value} against {other} nats per image)"

ENGLISH = Language(
    statements={
        "prior_frechet": {
            SUPPORTED: f"{_SAMPLES} {_FRECHET}",
            CONTRADICTED: "the {model}’s samples from N(0, I) are farther from real images than the {baseline}’s "
            f"{_FRECHET}",
            LEVEL: "the {model}’s and the {baseline}’s samples from N(0, I) are as near to real images, with no "
            f"difference that matters {_FRECHET}",
            NOT_RESOLVED: f"{_SAMPLES} {_FRECHET}",
        },
        "step_0_1_change": {
            SUPPORTED: f"{_STEP} {_DECODES}",
            CONTRADICTED: f"a small step in the latent space changes the {{model}}’s decode more than the "
            f"{{baseline}}’s {_DECODES}",
            LEVEL: "a small step in the latent space changes the {model}’s decode as much as the {baseline}’s, with no "
            f"difference that matters {_DECODES}",
            NOT_RESOLVED: f"{_STEP} {_DECODES}",
        },
        "negentropy": {
            SUPPORTED: f"{_SHAPE} {_NATS}",
            CONTRADICTED: f"the {{model}}’s codes are shaped less like a Gaussian than the {{baseline}}’s {_NATS}",
            LEVEL: "the {model}’s codes are shaped as much like a Gaussian as the {baseline}’s, with no difference "
            "that "
            f"matters {_NATS}",
            NOT_RESOLVED: f"{_SHAPE} {_NATS}",
        },
        "gaussian_hole_mass": {
            SUPPORTED: f"{_HOLES} {_SHARES}",
            CONTRADICTED: "more samples of a Gaussian fitted to the codes fall into holes in the {model} than in the "
            f"{{baseline}} {_SHARES}",
            LEVEL: "as many samples of a Gaussian fitted to the codes fall into holes in the {model} as in the "
            f"{{baseline}}, with no difference that matters {_SHARES}",
            NOT_RESOLVED: f"{_HOLES} {_SHARES}",
        },
        "silhouette": {
            SUPPORTED: f"{_CLASSES} (silhouette {{value}} against {{other}})",
            CONTRADICTED: "codes of a class lie less close together in the {model} than in the {baseline} "
            "(silhouette {value} against {other})",
            LEVEL: "codes of a class lie as close together in the {model} as in the {baseline}, with no difference "
            "that matters (silhouette {value} against {other})",
            NOT_RESOLVED: f"{_CLASSES} (silhouette {{value}} against {{other}})",
        },
        "midpoint_implausible_excess": {
            SUPPORTED: f"{_MIDPOINTS} {_EXCESS}",
            CONTRADICTED: "halfway between two codes, the {model} decodes implausible images more often than the "
            f"{{baseline}} {_EXCESS}",
            LEVEL: "halfway between two codes, the {model} decodes implausible images as often as the {baseline}, with "
            f"no difference that matters {_EXCESS}",
            NOT_RESOLVED: f"{_MIDPOINTS} {_EXCESS}",
        },
        "test_distortion_mean_code": {
            SUPPORTED: f"even from its mean codes, the {{model}} reconstructs worse than the {{baseline}} "
            f"{_DISTORTION}",
            CONTRADICTED: f"from its mean codes, the {{model}} reconstructs better than the {{baseline}} {_DISTORTION}",
            LEVEL: "from its mean codes, the {model} reconstructs as well as the {baseline}, with no difference that "
            f"matters {_DISTORTION}",
            NOT_RESOLVED: f"the {{model}} reconstructs worse than the {{baseline}} from its mean codes {_DISTORTION}",
        },
        "test_noise_cost": {
            SUPPORTED: "drawing a code costs the {model} {value} nats of reconstruction per image",
            CONTRADICTED: "drawing a code gives the {model} a better reconstruction than its mean code ({value} nats "
            "per image)",
            LEVEL: "drawing a code costs the {model} no reconstruction that matters ({value} nats per image)",
            NOT_RESOLVED: "drawing a code costs the {model} reconstruction ({value} nats per image)",
        },
        "mixture_frechet": {
            SUPPORTED: "with a mixture of Gaussians fitted to its codes, the {baseline} samples as well as the {model} "
            f"{_FITTED}",
            CONTRADICTED: "even with a mixture of Gaussians fitted to its codes, the {baseline} samples worse than the "
            f"{{model}} {_FITTED}",
            NOT_RESOLVED: "the {baseline} samples as well as the {model} with a mixture of Gaussians fitted to its "
            f"codes {_FITTED}",
        },
    },
    settings={
        ONE: "at {setting}, {what}",
        SOME: "in {k} of {n} settings, {what}",
        ALL: "in each of {n} settings, {what}",
    },
    price="the price: {what}",
    neither="neither model’s are near",
    open_one_seed="one seed does not resolve whether {what}",
    open_seeds="{n} seeds do not resolve whether {what}",
    open_missing="a run without a finite number leaves open whether {what}",
    counts=("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    to="{low} to {high}",
    separator="; ",
    trained={
        ONE: "trained on {dataset}, the {model} has a {label} of {value} nats per image",
        SOME: "trained on {dataset} in {n} settings, the {model} has a {label} of {value} nats per image",
    },
    labels={"test_elbo": "test ELBO", "test_distortion": "test distortion"},
)

KOREAN = Language(
    statements={
        "prior_frechet": {
            SUPPORTED: "N(0, I)에서 뽑은 표본은 {model}가 {baseline}보다 실제 이미지에 더 가깝습니다"
            "(프레셰 거리 {value}, {baseline}는 {other})",
            CONTRADICTED: "N(0, I)에서 뽑은 표본은 {model}가 {baseline}보다 실제 이미지에서 더 멉니다"
            "(프레셰 거리 {value}, {baseline}는 {other})",
            LEVEL: "N(0, I)에서 뽑은 표본이 실제 이미지에 가까운 정도는 {model}와 {baseline} 사이에 의미 있는 차이가 "
            "없습니다(프레셰 거리 {value}, {baseline}는 {other})",
            NOT_RESOLVED: "N(0, I)에서 뽑은 표본이 {model}에서 {baseline}보다 실제 이미지에 더 가까운지"
            "(프레셰 거리 {value}, {baseline}는 {other})",
        },
        "step_0_1_change": {
            SUPPORTED: "잠재 공간에서 조금 움직일 때 디코딩된 이미지는 {model}가 {baseline}보다 적게 변합니다"
            "(디코딩 결과 분산의 {value}배, {baseline}는 {other}배)",
            CONTRADICTED: "잠재 공간에서 조금 움직일 때 디코딩된 이미지는 {model}가 {baseline}보다 크게 변합니다"
            "(디코딩 결과 분산의 {value}배, {baseline}는 {other}배)",
            LEVEL: "잠재 공간에서 조금 움직일 때 디코딩된 이미지가 변하는 정도는 {model}와 {baseline} 사이에 의미 있는 "
            "차이가 없습니다(디코딩 결과 분산의 {value}배, {baseline}는 {other}배)",
            NOT_RESOLVED: "잠재 공간에서 조금 움직일 때 디코딩된 이미지가 {model}에서 {baseline}보다 적게 변하는지"
            "(디코딩 결과 분산의 {value}배, {baseline}는 {other}배)",
        },
        "negentropy": {
            SUPPORTED: "잠재 코드의 분포는 {model}가 {baseline}보다 정규분포에 더 가까운 모양입니다"
            "(정규분포와의 차이 {value}내트, {baseline}는 {other}내트)",
            CONTRADICTED: "잠재 코드의 분포는 {model}가 {baseline}보다 정규분포에서 더 벗어난 모양입니다"
            "(정규분포와의 차이 {value}내트, {baseline}는 {other}내트)",
            LEVEL: "잠재 코드의 분포가 정규분포에 가까운 정도는 {model}와 {baseline} 사이에 의미 있는 차이가 없습니다"
            "(정규분포와의 차이 {value}내트, {baseline}는 {other}내트)",
            NOT_RESOLVED: "잠재 코드의 분포가 {model}에서 {baseline}보다 정규분포에 더 가까운지"
            "(정규분포와의 차이 {value}내트, {baseline}는 {other}내트)",
        },
        "gaussian_hole_mass": {
            SUPPORTED: "코드에 맞춘 정규분포의 표본이 빈 곳에 떨어지는 비율은 {model}가 {baseline}보다 낮습니다"
            "({value}, {baseline}는 {other})",
            CONTRADICTED: "코드에 맞춘 정규분포의 표본이 빈 곳에 떨어지는 비율은 {model}가 {baseline}보다 높습니다"
            "({value}, {baseline}는 {other})",
            LEVEL: "코드에 맞춘 정규분포의 표본이 빈 곳에 떨어지는 비율은 {model}와 {baseline} 사이에 의미 있는 차이가 "
            "없습니다({value}, {baseline}는 {other})",
            NOT_RESOLVED: "코드에 맞춘 정규분포의 표본이 빈 곳에 떨어지는 비율이 {model}에서 {baseline}보다 낮은지"
            "({value}, {baseline}는 {other})",
        },
        "silhouette": {
            SUPPORTED: "같은 클래스의 코드는 {model}가 {baseline}보다 더 모여 있습니다(실루엣 {value}, {baseline}는 "
            "{other})",
            CONTRADICTED: "같은 클래스의 코드는 {model}가 {baseline}보다 덜 모여 있습니다"
            "(실루엣 {value}, {baseline}는 {other})",
            LEVEL: "같은 클래스의 코드가 모여 있는 정도는 {model}와 {baseline} 사이에 의미 있는 차이가 없습니다"
            "(실루엣 {value}, {baseline}는 {other})",
            NOT_RESOLVED: "같은 클래스의 코드가 {model}에서 {baseline}보다 더 모여 있는지"
            "(실루엣 {value}, {baseline}는 {other})",
        },
        "midpoint_implausible_excess": {
            SUPPORTED: "두 코드의 중간점을 디코딩할 때 그럴듯하지 않은 이미지가 나오는 비율은 {model}가 {baseline}보다 "
            "낮습니다(재구성보다 {value}, {baseline}는 {other} 높음)",
            CONTRADICTED: "두 코드의 중간점을 디코딩할 때 그럴듯하지 않은 이미지가 나오는 비율은 {model}가 "
            "{baseline}보다 높습니다(재구성보다 {value}, {baseline}는 {other} 높음)",
            LEVEL: "두 코드의 중간점을 디코딩할 때 그럴듯하지 않은 이미지가 나오는 비율은 {model}와 {baseline} "
            "사이에 의미 있는 차이가 없습니다(재구성보다 {value}, {baseline}는 {other} 높음)",
            NOT_RESOLVED: "두 코드의 중간점을 디코딩할 때 그럴듯하지 않은 이미지가 나오는 비율이 {model}에서 "
            "{baseline}보다 낮은지(재구성보다 {value}, {baseline}는 {other} 높음)",
        },
        "test_distortion_mean_code": {
            SUPPORTED: "{model}는 평균 코드에서도 {baseline}보다 재구성이 나쁩니다"
            "(이미지당 왜곡 {value}내트, {baseline}는 {other}내트)",
            CONTRADICTED: "평균 코드에서는 {model}가 {baseline}보다 재구성이 좋습니다"
            "(이미지당 왜곡 {value}내트, {baseline}는 {other}내트)",
            LEVEL: "평균 코드에서의 재구성은 {model}와 {baseline} 사이에 의미 있는 차이가 없습니다"
            "(이미지당 왜곡 {value}내트, {baseline}는 {other}내트)",
            NOT_RESOLVED: "평균 코드에서 {model}의 재구성이 {baseline}보다 나쁜지"
            "(이미지당 왜곡 {value}내트, {baseline}는 {other}내트)",
        },
        "test_noise_cost": {
            SUPPORTED: "{model}는 코드를 확률적으로 뽑느라 재구성에서 이미지당 {value}내트를 잃습니다",
            CONTRADICTED: "{model}에서는 확률적으로 뽑은 코드의 재구성이 평균 코드의 재구성보다 좋습니다"
            "(이미지당 {value}내트)",
            LEVEL: "{model}가 코드를 확률적으로 뽑느라 재구성에서 잃는 것은 무시할 만합니다(이미지당 {value}내트)",
            NOT_RESOLVED: "{model}가 코드를 확률적으로 뽑느라 재구성에서 손해를 보는지(이미지당 {value}내트)",
        },
        "mixture_frechet": {
            SUPPORTED: "코드에 맞춘 가우시안 혼합 분포에서 뽑으면 {baseline}의 표본도 {model} 못지않습니다"
            "(프레셰 거리 {other}, {model}는 {value})",
            CONTRADICTED: "코드에 맞춘 가우시안 혼합 분포에서 뽑아도 {baseline}의 표본은 {model}보다 실제 이미지에서 "
            "더 멉니다(프레셰 거리 {other}, {model}는 {value})",
            NOT_RESOLVED: "코드에 맞춘 가우시안 혼합 분포에서 뽑으면 {baseline}의 표본도 {model} 못지않은지"
            "(프레셰 거리 {other}, {model}는 {value})",
        },
    },
    settings={
        ONE: "{setting}에서, {what}",
        SOME: "설정 {n}개 중 {k}개에서, {what}",
        ALL: "설정 {n}개 모두에서, {what}",
    },
    price="그 대가로 {what}",
    neither="두 모델 모두 실제 이미지와는 거리가 멉니다",
    open_one_seed="{what}는 시드 하나로는 판가름할 수 없습니다",
    open_seeds="{what}는 시드 {n}개로는 판가름할 수 없습니다",
    open_missing="{what}는 유한한 수치가 없는 실행이 있어 판단할 수 없습니다",
    counts=(),
    to="{low}~{high}",
    separator=". ",
    trained={
        ONE: "데이터 {dataset}로 학습한 {model}의 {label} 이미지당 {value}내트입니다",
        SOME: "데이터 {dataset}로 설정 {n}개에서 학습한 {model}의 {label} 이미지당 {value}내트입니다",
    },
    labels={"test_elbo": "테스트 ELBO는", "test_distortion": "테스트 왜곡은"},
)

LANGUAGES = {"en": ENGLISH, "ko": KOREAN}
