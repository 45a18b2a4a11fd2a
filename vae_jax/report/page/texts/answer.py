"""The answer in each language of the page."""

from vae_jax.claims.answer import ENGLISH, Texts
from vae_jax.claims.verdicts import LEVEL, NOT_JUDGED, NOT_RESOLVED

KOREAN = Texts(
    {
        "prior_gap": ("코드를 보지 않는 표본 추출", "코드를 보지 않고 N(0, I)에서 뽑을 때 잃는 것이 적음",
                      "코드를 보지 않고 N(0, I)에서 뽑을 때 잃는 것이 많음"),
        "gaussian_frechet": ("코드에 맞춘 가우시안의 표본", "코드에 맞춘 가우시안의 표본이 더 좋음",
                             "코드에 맞춘 가우시안의 표본이 더 나쁨"),
        "gaussian_hole_mass": ("빈 곳", "코드 사이에 빈 곳이 적음", "코드 사이에 빈 곳이 많음"),
        "step_0_3_change": ("작은 이동", "작은 이동에 따른 변화가 작음", "작은 이동에 따른 변화가 큼"),
        "midpoint_implausible_excess": ("코드 사이의 이미지", "코드 사이의 이미지가 더 그럴듯함",
                                        "코드 사이의 이미지가 덜 그럴듯함"),
        "knn_accuracy_whitened": ("군집", "같은 클래스가 더 모여 있음", "같은 클래스가 덜 모여 있음"),
        "test_distortion": ("재구성", "재구성이 더 나쁨", "재구성이 더 좋음"),
    },
    at="{setting}: {what}",
    gained="{baseline} 대비 {model}의 이득은 {what}",
    lost="{baseline} 대비 {model}에서 주장과 반대인 것은 {what}",
    paid="그 대가는 {what}",
    other={LEVEL: "의미 있는 차이가 없는 것: {what}", NOT_RESOLVED: "판정할 수 없는 것: {what}",
           NOT_JUDGED: "재구성하지 못하는 모델이 있어 판정하지 않는 것: {what}"},
    numbers="{what}({value}, {baseline}는 {other}, 차이 {estimate} [{low}, {high}])",
    one_seed="시드가 하나라 구간도 판정도 없습니다. {model} / {baseline}: {what}",
    counted="{what}(설정 {n}개 중 {k}개)",
    trained="데이터 {dataset}로 학습한 {model}의 {label} 이미지당 {value} nat입니다",
    labels={"test_elbo": "테스트 ELBO는", "test_distortion": "테스트 왜곡은"},
    last=", ",
    to="{low}~{high}",
)  # fmt: skip

ANSWERS = {"en": ENGLISH, "ko": KOREAN}
